"""The console's page of what operators did in it."""

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import display

from tenants.admin import ConsoleAdmin


@admin.register(LogEntry)
class LogEntryAdmin(ConsoleAdmin):
    """Who did what here. Rows are only ever added."""

    list_display = ("action_time", "user", "done", "content_type", "object_repr")
    list_filter = (("action_time", RangeDateTimeFilter),)
    list_select_related = ("user", "content_type")
    search_fields = ("user__email", "object_id")
    ordering = ("-action_time", "-id")

    @display(description="What")
    def done(self, entry: LogEntry) -> str:
        """Return it in words."""
        return entry.get_change_message() or entry.get_action_flag_display()
