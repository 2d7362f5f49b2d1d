"""Jobs moved in every order that hypothesis thinks of: what must hold at every moment, and that all come to an end."""

import datetime as dt
import uuid

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.jobs import operations as jobs
from services.jobs.models import Job, JobStep, State
from services.jobs.operations import JobAlreadyOpen, JobStopped, LeaseLost
from tenants.isolation import tenant
from tests.factories import AT, make_tenant
from tests.services.jobs.kinds import DIAMOND, ENDED, SINGLE, Flaky, take_messages

OPEN = {State.QUEUED, State.RUNNING}
FAR = dt.timedelta(days=1)
KINDS = st.sampled_from([SINGLE, DIAMOND])
SUBJECT = uuid.UUID(int=1)
INDEX = st.integers(min_value=0, max_value=99)


class Jobs(RuleBasedStateMachine):
    """Plays whoever asks for jobs, all workers, living and dead, and the clock.

    What the machine knows by itself: which claim of a step holds, and which requests no run has begun to serve.
    """

    @initialize()
    def begin(self):
        self.owner = make_tenant().id
        self.at = AT
        self.asked = {}  # job -> its number: ids are random, and the same choices must mean the same jobs
        self.claims = []
        self.holding = {}  # step -> the only claim of it that may write
        self.leases = {}  # step -> until when that claim holds although nothing is heard of it
        self.unserved = set()  # (kind, subject) that somebody asked for since its last run began
        take_messages()

    def rows(self):
        with tenant(self.owner):
            steps = list(JobStep.objects.all())
            return [
                (job, {s.name: s for s in steps if s.job_id == job.id})
                for job in sorted(Job.objects.all(), key=lambda job: self.asked[job.id])
            ]

    def pick(self, index, states):
        found = [job for job, _ in self.rows() if job.state in states]
        return found[index % len(found)] if found else None

    @rule(seconds=st.sampled_from([1, 6, 61, 400]))
    def wait(self, seconds):
        self.at += dt.timedelta(seconds=seconds)

    @rule(kind=KINDS)
    def ask(self, kind):
        with tenant(self.owner):
            job = jobs.enqueue(kind=kind, subject_id=SUBJECT, at=self.at)
        assert job.state in OPEN
        self.asked.setdefault(job.id, len(self.asked))
        self.unserved.add((kind.name, SUBJECT))

    @rule(index=INDEX)
    def deliver(self, index):
        job = self.pick(index, set(State))
        if job is None:
            return
        claim = jobs.claim(tenant_id=self.owner, job_id=job.id, clock=lambda: self.at)
        if claim is None:
            self.forget_holders()
            return
        assert claim.step_id not in self.holding or self.leases[claim.step_id] < self.at, "taken from a living worker"
        self.claims.append(claim)
        self.holding[claim.step_id] = claim
        self.leases[claim.step_id] = self.at + dt.timedelta(seconds=claim.kind.lease_s)
        if claim.step in {"run", "first"}:
            self.unserved.discard((claim.kind.name, claim.subject_id))

    @precondition(lambda self: self.claims)
    @rule(index=INDEX, how=st.sampled_from(["report", "succeed", "fail", "retry_later"]))
    def work(self, index, how):
        claim = self.claims[index % len(self.claims)]
        if how == "retry_later" and not claim.may_retry:
            return
        holds = self.holding.get(claim.step_id) is claim
        try:
            with tenant(self.owner):
                if how == "succeed":
                    jobs.succeed(claim=claim, output={}, at=self.at)
                elif how == "fail":
                    jobs.fail(claim=claim, code="broken", detail="It broke.", at=self.at)
                elif how == "retry_later":
                    jobs.retry_later(claim=claim, error=Flaky(), at=self.at)
                elif self.at <= claim.deadline:
                    claim.progress.report(1)
                else:
                    return
        except (LeaseLost, JobStopped):
            assert not holds, "a claim that held was refused"
            return
        assert holds, "a claim that no longer held has written"
        self.leases[claim.step_id] = self.at + dt.timedelta(seconds=claim.kind.lease_s)
        if how != "report":
            del self.holding[claim.step_id]
            self.forget_holders()

    def forget_holders(self):
        """Where a job has ended or begun anew, none of its steps' claims hold any more."""
        running = {step.id for _, steps in self.rows() for step in steps.values() if step.state == State.RUNNING}
        self.holding = {step_id: claim for step_id, claim in self.holding.items() if step_id in running}

    @rule(index=INDEX)
    def cancel(self, index):
        job = self.pick(index, OPEN)
        if job is not None:
            with tenant(self.owner):
                jobs.cancel_job(job_id=job.id, at=self.at)
            self.unserved.discard((job.kind, job.subject_id))
            self.forget_holders()

    @rule(index=INDEX)
    def try_again(self, index):
        job = self.pick(index, {State.FAILED, State.CANCELLED})
        if job is None:
            return
        others = {(each.kind, each.subject_id) for each, _ in self.rows() if each.state in OPEN}
        try:
            with tenant(self.owner):
                jobs.retry_job(job_id=job.id, at=self.at)
        except JobAlreadyOpen:
            assert (job.kind, job.subject_id) in others
        else:
            assert (job.kind, job.subject_id) not in others

    @invariant()
    def rows_make_sense(self):
        open_keys = []
        for job, steps in self.rows():
            states = {name: step.state for name, step in steps.items()}
            still = ENDED | {State.BLOCKED} if job.state == State.FAILED else ENDED
            assert (job.state in ENDED) == (set(states.values()) <= still)
            assert (job.state == State.SUCCEEDED) == (set(states.values()) == {State.SUCCEEDED})
            assert (job.state == State.FAILED) == (State.FAILED in states.values())
            kind = SINGLE if job.kind == SINGLE.name else DIAMOND
            for step in kind.steps:
                if states[step.name] in {State.QUEUED, State.RUNNING, State.SUCCEEDED}:
                    assert all(states[before] == State.SUCCEEDED for before in step.after)
                if states[step.name] == State.BLOCKED:
                    assert any(states[before] != State.SUCCEEDED for before in step.after)
            for step in steps.values():
                holder = self.holding.get(step.id)
                assert (step.state == State.RUNNING) == (holder is not None)
                assert holder is None or holder.attempt == step.attempts
            if job.state in OPEN:
                open_keys.append((job.kind, job.subject_id))
        assert len(open_keys) == len(set(open_keys))

    @invariant()
    def what_was_asked_for_will_be_done(self):
        waiting = {
            (job.kind, job.subject_id)
            for job, steps in self.rows()
            if job.run_again
            or (job.state in OPEN and next(s for s in steps.values() if s.position == 0).state == State.QUEUED)
        }
        assert self.unserved <= waiting

    def teardown(self):
        """However the jobs were left, the sweep alone brings every one of them to its end."""
        while any(job.state in OPEN for job, _ in self.rows()):
            self.at += FAR
            take_messages()
            assert jobs.sweep(at=self.at, resend_after_s=0) > 0
            for _, _, message in take_messages():
                claim = jobs.claim(tenant_id=self.owner, job_id=uuid.UUID(message["job_id"]), clock=lambda: self.at)
                if claim is not None:
                    with tenant(self.owner):
                        jobs.succeed(claim=claim, output={}, at=self.at)


@pytest.mark.parametrize("examples", [40, pytest.param(1500, marks=pytest.mark.long)])
def test_jobs_hold_their_rules_in_every_order(database, examples):
    run_state_machine_as_test(
        Jobs,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
