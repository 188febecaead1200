"""What an encoder learns. The only package that imports torch; never imported to decode."""
