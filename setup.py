"""Everything is said in setup.cfg."""

import setuptools

setuptools.setup()
