"""From a config file and a command line to a config that can be run."""
