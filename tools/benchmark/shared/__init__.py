"""What the benchmark tools share; needs torch and rich, and for whole models what those need."""
