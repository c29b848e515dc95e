"""What every room may use: errors, names and plugins, atomic files, values, languages, progress."""
