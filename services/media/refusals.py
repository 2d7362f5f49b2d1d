"""Why a video is refused, in words for the person who sent it."""

SENTENCES = {
    "empty": "The file is empty.",
    "too_large": "The file is larger than it may be.",
    "not_video": "The file isn't a video that can be read. MP4, MOV, MKV, WebM, AVI, MPEG and transport streams can.",
    "unsupported_codec": "The video is encoded in a way that can't be read here.",
    "truncated": "The file ends too early: a part of it is missing. Send the original again.",
    "encrypted": "The video is encrypted.",
    "no_frames": "There are no pictures in the file.",
    "too_many_pixels": "The pictures are larger than 4K.",
    "too_long": "The video is longer than it may be.",
    "too_many_frames": "The video has more pictures than it may have.",
    "too_many_streams": "The file has more tracks than it may have.",
    "frame_rate": "The video has more pictures a second than it may have.",
    "hdr": "This kind of HDR can't be converted here. Export the video as SDR and send that.",
    "damaged": "Too much of the video is damaged.",
    "inexact": "The pictures don't come in the order that the file says.",
    "took_too_long": "The work on the video took longer than it may.",
    "too_much_memory": "The work on the video needs more memory than it may have.",
    "too_many_reads": "The file makes its reader go back and forth without end.",
    "crashed": "The work on the video broke off again and again.",
}
"""By `engine.refusal.Reason`, all of which are here."""
OF_THE_FILE = frozenset(SENTENCES) - {"crashed", "took_too_long", "too_much_memory"}
"""The reasons for which another try has the same end."""
