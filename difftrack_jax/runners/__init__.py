"""What each `config.task` does, from config to files."""
