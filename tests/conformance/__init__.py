"""Every behaviour once, over every cache there is."""
