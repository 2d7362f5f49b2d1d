"""Videos: the file that came, what is known of it, the pieces that it is made of, and what can be played."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from fatfire.kit import clock
from tenants.models import SameTenant, TenantForeignKey, TenantModel


class VideoState(models.TextChoices):
    """Where a video is."""

    UPLOADING = "uploading", "Uploading"
    WORKING = "working", "Being prepared"
    READY = "ready", "Ready"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Stopped"


class Video(TenantModel):
    """A video of a portfolio, perhaps of something insured or owned.

    `plan_number` counts how often it was planned: what is made by one plan lies in a folder of its own, so that a
    worker who still follows an earlier one can't mix its pieces in.
    """

    portfolio = TenantForeignKey("core.Portfolio", on_delete=models.PROTECT)
    # What it shows or proves; either may end, and the video stays.
    policy = TenantForeignKey("insurance.Policy", on_delete=models.SET_NULL, null=True)
    asset = TenantForeignKey("core.Asset", on_delete=models.SET_NULL, null=True)
    title = models.CharField(max_length=120)
    state = models.CharField(max_length=10, choices=VideoState.choices, default=VideoState.UPLOADING)
    error_code = models.CharField(max_length=60, blank=True)
    error_detail = models.CharField(max_length=500, blank=True)
    # The file as it was sent.
    file_name = models.CharField(max_length=200, blank=True)
    size = models.BigIntegerField(null=True)
    upload_id = models.CharField(max_length=1024, blank=True)  # the storage's; empty: none is open
    part_bytes = models.BigIntegerField(null=True)
    original_deleted_at = models.DateTimeField(null=True)
    # What is known of it, and made of it.
    seconds = models.DecimalField(max_digits=10, decimal_places=3, null=True)
    width = models.PositiveIntegerField(null=True)  # as it is shown, upright
    height = models.PositiveIntegerField(null=True)
    plan_number = models.PositiveSmallIntegerField(default=0)
    predicted_ms = models.BigIntegerField(null=True)  # how long the whole work takes, as planned
    has_poster = models.BooleanField(null=True)  # NULL: not made yet; false: there is no picture to make it of
    created_at = models.DateTimeField(default=clock.now, editable=False)
    asked_at = models.DateTimeField(null=True)  # when the work was asked for, last
    ready_at = models.DateTimeField(null=True)
    pieces_deleted_at = models.DateTimeField(null=True)  # of what the MP4s were put together from
    deleted_at = models.DateTimeField(null=True)  # hidden from then on; a job deletes its files, then the row

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            SameTenant("portfolio"),
            SameTenant("policy"),
            SameTenant("asset"),
            models.CheckConstraint(condition=~Q(title=""), name="media_video_has_a_title"),
            models.CheckConstraint(condition=Q(size__gt=0), name="media_video_size_is_positive"),
            models.CheckConstraint(
                condition=Q(state="uploading") | Q(size__isnull=False, asked_at__isnull=False),
                name="media_video_arrived_has_a_size",
            ),
            models.CheckConstraint(
                condition=~Q(state="ready") | Q(ready_at__gte=F("asked_at")), name="media_video_ready_has_a_time"
            ),
        ]
        indexes: ClassVar = [
            # The videos of a tenant, of a portfolio, of a policy and of an asset, newest first.
            models.Index(fields=["tenant", "-created_at", "-id"], name="media_video_newest"),
            models.Index(fields=["tenant", "portfolio", "-created_at", "-id"], name="media_video_of_portfolio"),
            models.Index(fields=["tenant", "policy"], condition=Q(policy__isnull=False), name="media_video_of_policy"),
            models.Index(fields=["tenant", "asset"], condition=Q(asset__isnull=False), name="media_video_of_asset"),
            # Across tenants, for the tidying: what is being worked on, was never sent, can go.
            models.Index(fields=["asked_at"], condition=Q(state="working"), name="media_video_working"),
            models.Index(fields=["created_at"], condition=Q(state="uploading"), name="media_video_uploading"),
            models.Index(
                fields=["asked_at"], condition=Q(original_deleted_at__isnull=True), name="media_video_original"
            ),
            models.Index(fields=["ready_at"], condition=Q(pieces_deleted_at__isnull=True), name="media_video_pieces"),
            models.Index(fields=["deleted_at"], condition=Q(deleted_at__isnull=False), name="media_video_deleted"),
        ]

    def __str__(self) -> str:
        return self.title


class Plan(TenantModel):
    """What the engine found out of a video, in the engine's own words (`services.media.engine.wire`).

    Apart from the video's row, since a list of videos needn't read it.
    """

    video = TenantForeignKey(Video, on_delete=models.CASCADE)
    media = models.JSONField()
    plan = models.JSONField(null=True)  # NULL: not made yet
    tracks = models.JSONField(null=True)  # what sound and captions there are; NULL: not made yet

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            SameTenant("video"),
            models.UniqueConstraint(fields=["tenant", "video"], name="media_plan_one_per_video"),
        ]

    def __str__(self) -> str:
        return f"plan of {self.video_id}"


class Segment(TenantModel):
    """One worker's piece of a video: planned, and made or not. Times are seconds of the video, from its beginning."""

    video = TenantForeignKey(Video, on_delete=models.CASCADE)
    number = models.PositiveIntegerField()
    start_s = models.FloatField()
    length_s = models.FloatField()
    cost_s = models.FloatField()  # seconds of one core, by the engine's table
    made_at = models.DateTimeField(null=True)
    result = models.JSONField(null=True)  # the engine's, without what it took
    # What it took.
    started_at = models.DateTimeField(null=True)
    cpu_ms = models.PositiveIntegerField(null=True)
    wall_ms = models.PositiveIntegerField(null=True)
    memory_mb = models.PositiveIntegerField(null=True)
    fetched_bytes = models.BigIntegerField(null=True)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            SameTenant("video"),
            # Also the pieces of a video in order.
            models.UniqueConstraint(fields=["tenant", "video", "number"], name="media_segment_once"),
            models.CheckConstraint(
                condition=Q(made_at__isnull=True) ^ Q(result__isnull=False), name="media_segment_made_has_a_result"
            ),
        ]

    def __str__(self) -> str:
        return f"segment {self.number} of {self.video_id}"


class Rendition(TenantModel):
    """One quality of a video as an MP4."""

    video = TenantForeignKey(Video, on_delete=models.CASCADE)
    name = models.CharField(max_length=20)  # "720p"
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    size = models.BigIntegerField(null=True)
    made_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            SameTenant("video"),
            # Also the renditions of a video.
            models.UniqueConstraint(fields=["tenant", "video", "name"], name="media_rendition_once"),
            models.CheckConstraint(
                condition=Q(made_at__isnull=True) ^ Q(size__gt=0), name="media_rendition_made_has_a_size"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Captions(TenantModel):
    """Captions of a video in one language, as WebVTT."""

    video = TenantForeignKey(Video, on_delete=models.CASCADE)
    name = models.CharField(max_length=40)  # of its file
    language = models.CharField(max_length=40, blank=True)
    title = models.CharField(max_length=120, blank=True)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            SameTenant("video"),
            # Also the captions of a video.
            models.UniqueConstraint(fields=["tenant", "video", "name"], name="media_captions_once"),
        ]

    def __str__(self) -> str:
        return self.title or self.language or self.name


class Playlist(TenantModel):
    """A playlist of HLS with the names of files and of other playlists, in whose places addresses come when it is sent.

    Workers write it: whoever serves it needs no engine.
    """

    video = TenantForeignKey(Video, on_delete=models.CASCADE)
    name = models.CharField(max_length=40)  # "master.m3u8", "720p.m3u8"
    text = models.TextField()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            SameTenant("video"),
            models.UniqueConstraint(fields=["tenant", "video", "name"], name="media_playlist_once"),
        ]

    def __str__(self) -> str:
        return self.name


class Allowance(TenantModel):
    """What a tenant may do, where it isn't what the settings say; NULL is theirs. Operators write it."""

    max_bytes = models.BigIntegerField(null=True)
    max_seconds = models.PositiveIntegerField(null=True)
    max_videos = models.PositiveIntegerField(null=True)
    parallel = models.PositiveIntegerField(null=True)  # segments worked on at once
    renditions = models.CharField(max_length=60, blank=True)  # "1080p 720p 480p"; empty: all

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            models.UniqueConstraint(fields=["tenant"], name="media_allowance_one_per_tenant"),
            models.CheckConstraint(
                condition=Q(renditions__regex=r"^$|^(1080p|720p|480p)( (1080p|720p|480p))*$"),
                name="media_allowance_renditions_are_known",
            ),
            models.CheckConstraint(condition=Q(parallel__gt=0), name="media_allowance_works_on_something"),
        ]

    def __str__(self) -> str:
        return "allowance"
