"""Objects for tests, put into an emulator's bucket through Beam's own file systems."""

from __future__ import annotations


def put(address: str, content: bytes) -> str:
    """Write an object, as it is; return its address."""
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems

    plain = CompressionTypes.UNCOMPRESSED
    with FileSystems.create(address, compression_type=plain) as file:
        file.write(content)
    return address
