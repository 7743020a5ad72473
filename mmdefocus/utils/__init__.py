"""What every room of the package may use: errors, files, memory; no model, no registry."""
