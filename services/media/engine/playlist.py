"""HLS playlists: text about the files of a video, which grow while segments arrive."""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from services.media.engine.audio import TrackResult
from services.media.engine.captions import CaptionResult
from services.media.engine.fragment import Fragment
from services.media.engine.plan import Output, Plan
from services.media.engine.segment import SegmentResult, init_name

type Url = Callable[[str], str]
VERSION = 7


def playable(plan: Plan, results: Iterable[SegmentResult]) -> list[SegmentResult]:
    """Return the segments that can be played by now: from the first on, up to the first that is missing."""
    done = {result.number: result for result in results}
    ready = []
    for segment in plan.segments:
        if segment.number not in done:
            break
        ready.append(done[segment.number])
    return ready


def picture_playlist(plan: Plan, output: Output, results: Iterable[SegmentResult], url: Url) -> str:
    """Return an output's playlist; it grows while segments arrive, and ends when all are there.

    Args:
        results: those that are done, in any order; one twice counts once.
        url: makes the address of a file of its name.
    """
    ready = playable(plan, results)
    made = [each for result in ready for each in result.made if each.output == output.name]
    files = [(each.name, each.fragments) for each in made]
    is_whole = len(ready) == len(plan.segments)
    return _media_playlist(init_name(output.name), files, plan.timescale, plan.fragment_seconds, url, is_whole=is_whole)


def sound_playlist(plan: Plan, track: TrackResult, url: Url) -> str:
    """Return a sound track's playlist."""
    files = [(f"{track.name}/media.m4s", track.fragments)]
    return _media_playlist(f"{track.name}/init.mp4", files, track.rate, plan.fragment_seconds, url, is_whole=True)


def caption_playlist(plan: Plan, caption: CaptionResult, url: Url) -> str:
    """Return a caption track's playlist: one file, as long as the video."""
    seconds = max(plan.seconds, Fraction(1, 1000))
    return "\n".join(
        [
            "#EXTM3U",
            f"#EXT-X-VERSION:{VERSION}",
            f"#EXT-X-TARGETDURATION:{-int(-seconds // 1)}",
            "#EXT-X-PLAYLIST-TYPE:VOD",
            f"#EXTINF:{float(seconds):.6f},",
            url(caption.name),
            "#EXT-X-ENDLIST",
            "",
        ]
    )


def master_playlist(
    plan: Plan,
    results: Sequence[SegmentResult],
    audio: Sequence[TrackResult],
    captions: Sequence[CaptionResult],
    url: Url,
) -> str:
    """Return the playlist that names all others: `<output>.m3u8`, `<track>.m3u8`, `<captions>.m3u8`, through `url`.

    It needs one segment at least, which tells the codec, and all sound and caption tracks: players read it once, so it
    is given out when the tracks are done. Bandwidths are the greatest and the mean of what was made.
    """
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for number, track in enumerate(audio):
        name = _quoted(track.title or track.language or f"Sound {number + 1}")
        language = f',LANGUAGE="{_quoted(track.language)}"' if track.language else ""
        default = "YES" if number == 0 else "NO"
        lines.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="{name}"{language},DEFAULT={default},AUTOSELECT=YES,'
            f'URI="{url(track.name + ".m3u8")}"'
        )
    for number, caption in enumerate(captions):
        name = _quoted(caption.title or caption.language or f"Captions {number + 1}")
        language = f',LANGUAGE="{_quoted(caption.language)}"' if caption.language else ""
        lines.append(
            f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="captions",NAME="{name}"{language},DEFAULT=NO,AUTOSELECT=YES,'
            f'FORCED=NO,URI="{url(caption.name.removesuffix(".vtt") + ".m3u8")}"'
        )
    groups = (',AUDIO="audio"' if audio else "") + (',SUBTITLES="captions"' if captions else "")
    sound_peak = max((_peak(track.fragments, track.rate) for track in audio), default=0)
    for output in sorted(plan.outputs, key=lambda each: each.width * each.height, reverse=True):
        made = [each for result in results for each in result.made if each.output == output.name]
        fragments = [fragment for each in made for fragment in each.fragments]
        codecs = ",".join([made[0].codec, *([audio[0].codec] if audio else [])])
        lines += [
            f"#EXT-X-STREAM-INF:BANDWIDTH={_peak(fragments, plan.timescale) + sound_peak},"
            f"AVERAGE-BANDWIDTH={_mean(fragments, plan.timescale) + sound_peak},"
            f'CODECS="{codecs}",RESOLUTION={output.width}x{output.height},'
            f"FRAME-RATE={float(plan.media.video.rate):.3f}{groups}",
            url(f"{output.name}.m3u8"),
        ]
    return "\n".join([*lines, ""])


def _media_playlist(
    init: str, files: Sequence[tuple[str, Sequence[Fragment]]], timescale: int, target: int, url: Url, *, is_whole: bool
) -> str:
    # EVENT to the end: a playlist may only be added to while it is played.
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        f"#EXT-X-TARGETDURATION:{target}",
        "#EXT-X-PLAYLIST-TYPE:EVENT",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f'#EXT-X-MAP:URI="{url(init)}"',
    ]
    for name, fragments in files:
        address = url(name)
        for fragment in fragments:
            lines += [
                f"#EXTINF:{fragment.ticks / timescale:.6f},",
                f"#EXT-X-BYTERANGE:{fragment.size}@{fragment.offset}",
                address,
            ]
    return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if is_whole else []), ""])


def _quoted(text: str) -> str:
    """Return the text without what would end an attribute or its line."""
    return "".join(each for each in text if each.isprintable() and each != '"')


def _peak(fragments: Sequence[Fragment], timescale: int) -> int:
    return max((8 * each.size * timescale // max(1, each.ticks) for each in fragments), default=0)


def _mean(fragments: Sequence[Fragment], timescale: int) -> int:
    ticks = sum(each.ticks for each in fragments)
    return 8 * sum(each.size for each in fragments) * timescale // max(1, ticks)
