"""What a project asks for: its settings, from four sources, checked."""
