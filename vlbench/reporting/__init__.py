"""The report: result files as one page that needs nothing else, as Markdown in short, and as JSON."""
