"""What is made: everything is found, the plan becomes a build tree and binaries, and those are verified."""
