"""Strong lottery tickets that are constructed: subsets of random networks that approximate trained ones."""
