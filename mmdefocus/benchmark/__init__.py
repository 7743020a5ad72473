"""What the tools in tools/benchmark share; needs torch and rich."""
