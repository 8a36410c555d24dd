"""What setup.cfg cannot say: an editable installation brings the manual pages and the examples as well."""

import setuptools


class Distribution(setuptools.Distribution):
    """`editable_wheel` installs data where `has_data` says so, which the class it asks calls `has_data_files`."""

    has_data = setuptools.Distribution.has_data_files


setuptools.setup(distclass=Distribution)
