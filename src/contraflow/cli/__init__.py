"""The command line: one file per command, which parses, asks the engine, and shows the answer."""
