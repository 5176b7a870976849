"""What the pages of a site show, before it is drawn: histories, costs, charts, outlines."""
