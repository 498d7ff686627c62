"""One model in two forms, and the native program that runs both."""
