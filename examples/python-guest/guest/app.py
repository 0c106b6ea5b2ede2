"""The guest's resources. `Guest` is what the host calls; everything else is ordinary Python.

Each resource is a class whose methods are named as the verbs are. `KENNEL` lists them: the host names a resource by
its place there.
"""

import statistics
from typing import AsyncIterator, Optional

from componentize_py_async_support.streams import StreamReader
from wit_world import exports
from wit_world.imports import config, tables, types

from host import Dogs, failure, from_value, incoming_values, manifest, reply, stream_of, to_value


class Greeting:
    """`GET /Greeting/rex`: reads a record."""

    path = "Greeting"

    async def get(self, target: types.Target) -> types.Reply:
        word = (from_value(config.get().encode()) or {}).get("greeting", "Hi")
        dog = Dogs().get(target.id)
        return reply(f"{word}, {dog['name']}!")


class Birthday:
    """`POST /Birthday/rex`: reads a record and writes it, in the transaction of the call."""

    path = "Birthday"

    async def post(self, target: types.Target, body: object) -> types.Reply:
        dogs = Dogs()
        dog = dogs.get(target.id)
        dog["age"] = (dog.get("age") or 0) + 1
        await dogs.put(target.id, dog)
        return reply(dog)


class Ages:
    """`GET /Ages/`: goes through a table and computes with Python's own library."""

    path = "Ages"

    async def get(self, target: types.Target) -> types.Reply:
        dogs = Dogs().search({"select": ["age"]})
        ages = [dog["age"] async for dog in dogs if dog.get("age") is not None]
        if not ages:
            raise failure(404, "there is no dog whose age is known", "NoAges")
        return reply({
            "dogs": len(ages),
            "mean": statistics.fmean(ages),
            "median": statistics.median(ages),
            "deviation": statistics.pstdev(ages),
        })

    async def query(self, target: types.Target, body: object) -> types.Reply:
        return await self.get(target)


class Watch:
    """A stream: `/Watch/rex` tells what happens to a dog, `/Watch/` answers what the client says."""

    path = "Watch"

    async def connect(
        self, target: types.Target, incoming: Optional[StreamReader[bytes]]
    ) -> AsyncIterator[object]:
        if target.id is None:
            async for said in incoming_values(incoming):
                yield {"heard": said}
            return
        async for event in Dogs().subscribe({"id": from_value(target.id)}):
            name = event["value"] and event["value"].get("name")
            yield {"kind": event["type"], "name": name}


KENNEL = [Greeting(), Birthday(), Ages(), Watch()]


class Guest(exports.Guest):
    """`kora:resource/guest`, which the host asks."""

    def manifest(self) -> str:
        return manifest(KENNEL)

    async def handle(self, call: types.Call) -> types.Reply:
        method = getattr(KENNEL[call.resource], call.verb, None)
        if method is None:
            raise failure(405, f"{call.verb} is not implemented")
        if call.verb in ("get", "delete"):
            return await method(call.target)
        return await method(call.target, from_value(call.body))

    async def connect(self, call: types.Call, incoming: Optional[StreamReader[bytes]]):
        return stream_of(KENNEL[call.resource].connect(call.target, incoming))
