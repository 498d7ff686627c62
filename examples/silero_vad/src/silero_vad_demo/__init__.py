"""Silero's voice activity detector and the native program that runs it."""
