"""Sound in time, and captions as WebVTT."""

import io
from array import array
from dataclasses import replace
from fractions import Fraction

import av
import pytest

from services.media.engine.audio import TrackEncoder
from services.media.engine.media import Audio
from tests.services.media.engine.inputs import Sound, make, small, tone
from tests.services.media.engine.oracle import listen
from tests.services.media.engine.pipeline import prepare
from tests.services.media.engine.test_plan import media_of

SECOND = 48_000


def encoder(rate: int = SECOND) -> TrackEncoder:
    media = media_of()
    return TrackEncoder(media, Audio(1, "aac", rate, 2, Fraction(0), "", ""))


def heard(whole: bytes) -> list[int]:
    """Return the loudness of each tenth of a second: 0 silence, 1 tone."""
    samples = array("f")
    with av.open(io.BytesIO(whole)) as container:
        for frame in container.decode(audio=0):
            samples.frombytes(bytes(frame.planes[0])[: 4 * frame.samples])
    tenths = [samples[k : k + SECOND // 10] for k in range(0, len(samples) - SECOND // 20, SECOND // 10)]
    return [int(sum(abs(each) for each in tenth) / len(tenth) > 0.05) for tenth in tenths]


def test_gap_in_the_source_is_silence_and_what_follows_stays_in_time():
    track = encoder()
    for frame in tone(Sound(1.0)):
        track.feed(frame)
    for frame in tone(Sound(0.5, start=Fraction(3, 2))):
        track.feed(frame)

    whole = track.finish()

    assert listen(whole, 0) == (0, 2 * SECOND)
    assert heard(whole) == [1] * 10 + [0] * 5 + [1] * 5


def test_lying_time_does_not_fill_hours_with_silence():
    track = TrackEncoder(replace(media_of(), duration=Fraction(2)), Audio(1, "aac", 8000, 2, Fraction(0), "", ""))
    for frame in [*tone(Sound(1.0, rate=8000)), *tone(Sound(1.0, rate=8000, start=Fraction(10**9)))]:
        track.feed(frame)

    track.finish()

    assert track.samples / track.rate == pytest.approx(2, abs=0.01)


def test_what_is_said_twice_is_heard_once():
    track = encoder()
    for frame in [*tone(Sound(1.0)), *tone(Sound(0.5))]:
        track.feed(frame)

    assert listen(track.finish(), 0) == (0, SECOND)


@pytest.mark.parametrize(("rate", "made"), [(48_000, 48_000), (44_100, 44_100), (8_000, 48_000), (96_000, 48_000)])
def test_rates_that_players_know_are_kept(rate, made):
    track = encoder(rate)
    for frame in tone(Sound(1.0, rate=rate)):
        track.feed(frame)

    begin, samples = listen(track.finish(), 0)

    assert (track.rate, begin) == (made, 0)
    assert abs(samples - made) <= made // 1000


def with_captions(container: str, codec: str, cues: list[tuple[int, int, str]]) -> bytes:
    """Return a video with a caption track; times in milliseconds."""
    file = io.BytesIO()
    with av.open(io.BytesIO(make(small("picture"))), "r") as source, av.open(file, "w", format=container) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        track = target.add_mux_stream(codec)
        track.time_base = Fraction(1, 1000)
        track.metadata["language"] = "deu"
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for packet in packets:
            packet.stream = stream
            target.mux(packet)
        for start, end, text in cues:
            packet = av.Packet(text.encode())
            packet.stream, packet.pts, packet.dts, packet.duration = track, start, start, end - start
            packet.time_base = Fraction(1, 1000)
            target.mux(packet)
    return file.getvalue()


def test_captions_become_webvtt():
    content = with_captions(
        "matroska",
        "subrip",
        [(0, 900, "The <i>kitchen</i> & hall"), (1000, 1999, "Two\nlines"), (2000, 2500, "a --> b <script>")],
    )
    run = prepare(content)

    (track,) = run.tracks.captions
    assert (track.language, track.cues) == ("deu", 3)
    assert run.files[track.name].decode() == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:00.900\nThe kitchen &amp; hall\n\n"
        "00:00:01.000 --> 00:00:01.999\nTwo\nlines\n\n"
        "00:00:02.000 --> 00:00:02.500\na --&gt; b\n"
    )


def test_video_without_sound_has_no_track():
    assert prepare(make(small("silent"))).tracks.audio == ()
