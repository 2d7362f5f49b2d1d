"""Parallel transcoding without a split step: plan, cut, encode, put together (docs/media.md).

Nothing here knows Django, a database or a network. `sandbox` is the door: each of its functions reads a `Source` and
does one piece of work in a confined child process. `playlist` writes the HLS playlists from the results. The other
modules are what runs inside.
"""
