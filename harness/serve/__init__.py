"""Past runs in the browser: the list of them, their reports, and any of them side by side. Reads only."""
