"""A folder, archive or Debian package with all that an app needs to run without Python."""
