"""Faces: each turns a protocol into commands, and answers into that protocol."""
