"""A person's events through the real daemon: sensor, worker runs, partitions as the Dagster UI shows them."""

from __future__ import annotations

import json
import urllib.request

import psutil
from sqlalchemy import Engine, create_engine, text

from ai_assets.simulator.server import Simulator


def fire(engine: Engine, event: str, member: int, **payload: object) -> int:
    with engine.begin() as connection:
        sql = "select biz.fire_ai_event(:event, 1001, :member, cast(:payload as jsonb))"
        return connection.execute(
            text(sql), {"event": event, "member": member, "payload": json.dumps(payload)}
        ).scalar_one()


def job(engine: Engine, job_id: int):
    with engine.connect() as connection:
        sql = "select * from biz.ai_trigger_jobs where id = :id"
        return connection.execute(text(sql), {"id": job_id}).mappings().one()


class Ui:
    """What the Dagster UI asks, by its own GraphQL."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/graphql"

    def ask(self, query: str, **variables: object):
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            said = json.load(answer)
        assert not said.get("errors"), said
        return said["data"]

    def partitions(self, asset: str) -> dict[str, str]:
        """Key to materialized, failed or materializing; what is missing is not among them."""
        query = """
            query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
              assetPartitionStatuses { ... on DefaultPartitionStatuses {
                materializedPartitions failedPartitions materializingPartitions } } } } }
        """
        found = self.ask(query, key={"path": [asset]})["assetNodeOrError"]["assetPartitionStatuses"]
        return {
            key: state
            for state in ("materialized", "failed", "materializing")
            for key in found[f"{state}Partitions"]
        }

    def worker_runs(self) -> list[tuple[str, str]]:
        """(run id, status) of the worker runs, newest first."""
        query = """
            { runsOrError(filter: {pipelineName: "event_worker"}) { ... on Runs { results { runId status } } } }
        """
        return [(run["runId"], run["status"]) for run in self.ask(query)["runsOrError"]["results"]]

    def cancel(self, run_id: str) -> None:
        query = "mutation($id: String!) { terminateRun(runId: $id) { __typename } }"
        assert self.ask(query, id=run_id)["terminateRun"]["__typename"] == "TerminateRunSuccess"


def test_a_persons_events_become_partitions_through_failures_kills_and_cancels(
    serve, venue_environment, simulator: Simulator, waiting
):
    engine = create_engine(venue_environment["AI_DATABASE_URL"])
    dagster = create_engine(venue_environment["DAGSTER_POSTGRES_URL"])
    with engine.begin() as connection:
        # only what this test sends
        connection.execute(text("delete from dws.etl_batch"))
        sql = "select member_id from biz.members where site_id = 1001 and member_id <> 555 limit 4"
        members = list(connection.execute(text(sql)).scalars())
    port = waiting.free_port()
    service = serve(
        "up",
        "--gateway-port",
        "0",
        "--port",
        str(port),
        environment={**venue_environment, "AI_WORKER_LINGER_S": "5", "AI_WORKERS_MAX": "1"},
    )
    waiting.wait_for("the UI", lambda: "Dagster UI:" in service.log.read_text(), service)
    ui = Ui(port)

    # an event in the inbox becomes a worker, a chain, and a green cell of each asset
    first = fire(engine, "consumption", 555, has_assistant=True, assistant_id=7)
    waiting.wait_for("the chain", lambda: job(engine, first)["status"] == "completed", service)
    for asset in ("app3_clue", "app8_consolidation", "member_retention_clue", "app7_customer"):
        waiting.wait_for(
            asset, lambda asset=asset: ui.partitions(asset).get("1001:555") == "materialized", service
        )
    for asset in ("app4_analysis", "app5_tactics"):
        waiting.wait_for(
            asset, lambda asset=asset: ui.partitions(asset).get("1001:7_555") == "materialized", service
        )

    # a step that fails is a red cell when its worker has ended; the others of its chain are green
    simulator.configure(app="app7", fail=1.0)
    second = fire(engine, "consumption", members[0])
    waiting.wait_for("the chain", lambda: job(engine, second)["status"] == "partial", service)
    key = f"1001:{members[0]}"
    waiting.wait_for("red", lambda: ui.partitions("app7_customer").get(key) == "failed", service)
    assert ui.partitions("app3_clue")[key] == "materialized"
    assert ui.partitions("app7_customer")["1001:555"] == "materialized"
    assert "FAILURE" in {status for _, status in ui.worker_runs()}
    simulator.reset()

    # a worker that is killed: its run is ended by the sensor, its chain made again by the next
    simulator.configure(app="app8", latency=20.0)
    third = fire(engine, "consumption", members[1])
    waiting.wait_for("App8 of the chain", lambda: simulator.calls("app8"), service)
    waiting.wait_for(
        "App8's cell in progress",
        lambda: ui.partitions("app8_consolidation").get(f"1001:{members[1]}") == "materializing",
        service,
    )
    killed = job(engine, third)["run_id"]
    psutil.Process(waiting.process_of_run(dagster, killed)).kill()
    simulator.reset()
    waiting.wait_for("the second attempt", lambda: job(engine, third)["status"] == "completed", service)
    assert job(engine, third)["attempts"] == 2
    assert simulator.calls("app3") == [], "what the killed worker had made was not made again"
    waiting.wait_for("the killed run's end", lambda: dict(ui.worker_runs())[killed] == "FAILURE", service)
    waiting.wait_for(
        "green",
        lambda: ui.partitions("app8_consolidation").get(f"1001:{members[1]}") == "materialized",
        service,
    )

    # a worker that a person cancels hands its chain back, and the next goes on
    simulator.reset()
    simulator.configure(app="app8", latency=60.0)
    fourth = fire(engine, "consumption", members[2])
    waiting.wait_for("App8 of the chain", lambda: simulator.calls("app8"), service)
    cancelled = job(engine, fourth)["run_id"]
    simulator.configure(app="app8", latency=0.0)
    ui.cancel(cancelled)
    waiting.wait_for("the next worker", lambda: job(engine, fourth)["status"] == "completed", service)
    assert job(engine, fourth)["attempts"] == 1
    waiting.wait_for("the cancelled run", lambda: dict(ui.worker_runs())[cancelled] == "CANCELED", service)
    with engine.connect() as connection:
        assert connection.execute(text("select count(*) from biz.ai_leases")).scalar_one() == 0
    assert service.stop() == 0
