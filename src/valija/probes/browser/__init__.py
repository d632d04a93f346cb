"""A person at a browser: Chromium, driven by playwright, and the pages of each webmail."""
