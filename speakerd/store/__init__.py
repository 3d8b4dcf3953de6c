"""What the household taught: kept examples, and versions of everything derived from them, in one SQLite file."""
