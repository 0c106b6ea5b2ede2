"""Python's side of the world `kora:resource`: values, errors, streams and the table of dogs.

Values cross as JSON here (`"encoding": "json"` in the manifest), since Python brings it along. MessagePack is the
other choice, with a package of your own.
"""

import json
from typing import Any, AsyncIterator, Optional

import componentize_py_async_support
import wit_world
from componentize_py_async_support.futures import FutureReader
from componentize_py_async_support.streams import StreamReader
from componentize_py_types import Err, Ok, Result
from wit_world.imports import log, tables, types

VERBS = ("get", "put", "patch", "post", "delete", "query")

# A stream and the future that says how it ended.
Sequence = tuple[StreamReader[bytes], FutureReader[Result[None, types.Failure]]]


def to_value(value: Any) -> bytes:
    return json.dumps(value).encode()


def from_value(value: Optional[bytes]) -> Any:
    return None if value is None else json.loads(value)


def failure(status: int, message: str, code: str = "") -> Err[types.Failure]:
    """To be raised: what the client gets instead of an answer."""
    return Err(types.Failure(status, code, message))


def reply(value: Any) -> types.Reply:
    return types.Reply(None, [], types.Body_Value(to_value(value)), None)


def manifest(resources: list[Any]) -> str:
    """What the host is told of the resources: their paths and methods."""
    described = [
        {
            "path": resource.path,
            "verbs": [verb for verb in VERBS if hasattr(resource, verb)],
            "connect": hasattr(resource, "connect"),
            "table": "Dog",
            "public": True,
        }
        for resource in resources
    ]
    return json.dumps({"encoding": "json", "resources": described})


class Dogs:
    """The table `Dog`. A call's writes are committed with its answer, or not at all if it fails."""

    def __init__(self) -> None:
        self.table = tables.Table.find("data", "Dog")

    def get(self, id: Optional[bytes]) -> dict[str, Any]:
        if id is None:
            raise failure(400, "which dog?", "NoDog")
        dog = from_value(self.table.get(None, id))
        if dog is None:
            raise failure(404, f"there is no dog {from_value(id)}", "UnknownDog")
        return dog

    async def put(self, id: bytes, dog: dict[str, Any]) -> None:
        await self.table.put(None, id, to_value(dog))

    def search(self, query: dict[str, Any]) -> AsyncIterator[Any]:
        return values_of(self.table.search(None, to_value(query)))

    def subscribe(self, options: dict[str, Any]) -> AsyncIterator[Any]:
        return values_of(self.table.subscribe(to_value(options)))


async def incoming_values(stream: Optional[StreamReader[bytes]]) -> AsyncIterator[Any]:
    """What the client sends, until it leaves; nothing where it can't send."""
    if stream is None:
        return
    with stream:
        while not stream.writer_dropped:
            for value in await stream.read(16):
                yield from_value(value)


async def values_of(sequence: Sequence) -> AsyncIterator[Any]:
    """The values of a sequence of the host's; raises what broke it off."""
    stream, end = sequence
    async for value in incoming_values(stream):
        yield value
    ended = await end.read()
    if isinstance(ended, Err):
        raise ended


def stream_of(messages: AsyncIterator[Any]):
    """What the host reads of a `connect`: the messages, then how they ended. Written as fast as the client reads."""
    writer, reader = wit_world.types_message_stream()
    end, ended = wit_world.result_unit_types_failure_future(lambda: Ok(None))

    async def write() -> None:
        outcome: Result[None, types.Failure] = Ok(None)
        with writer:
            try:
                async for message in messages:
                    await writer.write_all([types.Message_Value(to_value(message))])
                    if writer.reader_dropped:
                        break
            except Err as error:
                outcome = error
            except Exception as error:
                log.log(log.Level.ERROR, f"{type(error).__name__}: {error}")
                outcome = failure(500, "the stream failed")
        await end.write(outcome)

    componentize_py_async_support.spawn(write())
    return reader, ended
