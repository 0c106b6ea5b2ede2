//! The hundred things that real Harper applications use most (`spec/harper-usage.md` section 2): each is used by
//! some component of this suite, of `tests/applications` or of the examples, all of which a test serves. This test
//! only sees to it that none of them gets lost; what each must do is asserted where it is used.

use std::path::Path;

/// What is used, and what a component that uses it has in its source.
const USED: &[(&str, &[&str])] = &[
    ("get()", &["get() {"]),
    ("verb(data, target)", &["post(data, target)"]),
    ("class extends Resource", &["extends Resource"]),
    ("globals without an import", &["const { Note } = tables;"]),
    ("tables.X", &["tables.Dog"]),
    ("Table.put()", &[".put("]),
    ("post()", &["post(data"]),
    ("for await over results", &["for await (const"]),
    ("Table.get()", &["tables.Dog.get("]),
    ("logger", &["logger.info(", "logger.warn("]),
    ("conditions", &["conditions: ["]),
    ("class extends tables.X", &["extends tables.", "extends databases."]),
    ("Table.search()", &[".search("]),
    ("module side effects at load", &["sourcedFrom(Origin);"]),
    ("{status, headers, data}", &["status: 201, headers:"]),
    ("databases.db.X", &["databases."]),
    ("comparator", &["comparator: '"]),
    ("statusCode of errors", &["statusCode = ", "statusCode: "]),
    ("getContext()", &["this.getContext()"]),
    ("super.verb()", &["super.get(", "super.post("]),
    ("console", &["console.log("]),
    ("limit, offset", &["limit: ", "offset: "]),
    ("verb(target, data)", &["post(target, data)"]),
    ("static loadAsInstance = false", &["static loadAsInstance = false"]),
    ("select", &["select: ["]),
    ("import from 'harperdb'", &["from 'harperdb'"]),
    ("allowRead and its siblings", &["allowRead(", "allowCreate(", "allowUpdate(", "allowDelete("]),
    ("put()", &["put(target, data)"]),
    ("target.get()", &["query.get('"]),
    ("request headers", &["headers.get('"]),
    ("Table.delete()", &[".delete(id)"]),
    ("server.http()", &["server.http("]),
    ("import from 'harper'", &["from 'harper'"]),
    ("delete()", &["delete(target"]),
    ("sourcedFrom()", &[".sourcedFrom("]),
    ("getId()", &["this.getId()"]),
    ("Table.patch()", &[".patch("]),
    ("server.workerIndex", &["server.workerIndex"]),
    ("target.id", &["target.id"]),
    ("sort", &["sort: {"]),
    ("handleApplication(scope)", &["handleApplication(scope)"]),
    ("scope.options", &["scope.options.on('change'"]),
    ("context of caching sources", &["noCacheStore", "replacingRecord", "requestContext"]),
    ("session, login", &[".login(username", "session.update("]),
    ("new Response()", &["new Response("]),
    ("vector search", &["$distance", "\"target\": ["]),
    ("user", &["getContext().user"]),
    ("start, startOnMainThread", &["startOnMainThread("]),
    ("export alias", &["export const "]),
    ("createBlob()", &["createBlob("]),
    ("Table.create()", &[".create("]),
    ("server.operation()", &["server.operation("]),
    ("server.recordAnalytics()", &["recordAnalytics("]),
    ("server.config, hostname, nodes", &["server.hostname", "server.nodes", "server.config"]),
    ("tables tell of themselves", &[".attributes", ".primaryKey", "getRecordCount("]),
    ("static verbs", &["static get(", "static async post("]),
    ("Table.subscribe()", &[".subscribe("]),
    ("handleFile, setupFile, handleDirectory", &["handleFile(", "setupFile(", "handleDirectory("]),
    ("_nodeRequest, _nodeResponse", &["_nodeRequest", "_nodeResponse"]),
    ("Table.invalidate()", &[".invalidate("]),
    ("Table.update()", &[".update("]),
    ("connect()", &["connect(incoming"]),
    ("resources.set(), getMatch()", &["resources.set(", "getMatch("]),
    ("parsePath, directURLMapping, path", &["parsePath", "directURLMapping", "static path ="]),
    ("system tables", &["databases.system"]),
    ("nested conditions", &["operator: 'or'"]),
    ("context.responseHeaders", &["responseHeaders"]),
    ("subscribe()", &["subscribe(target"]),
    (
        "scope.handleEntry, resources, server",
        &["scope.handleEntry(", "scope.resources", "scope.server"],
    ),
    ("patch()", &["patch(target", "patch(data"]),
    ("exported nested object", &["export const tools = {"]),
    ("transaction()", &["transaction(async", "transaction("]),
    ("search()", &["search(target", "search(query"]),
    ("connect() as an async generator", &["async *connect("]),
    ("allowStaleWhileRevalidate", &["allowStaleWhileRevalidate"]),
    ("Table.post()", &[".post("]),
    ("{contentType, data}", &["contentType: '"]),
    ("target.checkPermission = false", &["target.checkPermission = false"]),
    ("contentTypes", &["contentTypes.set("]),
    ("getUser, authenticateUser", &["server.getUser(", "authenticateUser("]),
    ("types imported as values", &["RequestTarget,"]),
    ("setComputedAttribute()", &["setComputedAttribute("]),
    ("addTo, subtractFrom", &[".addTo(", ".subtractFrom("]),
    ("server.ws", &["server.ws("]),
    ("graphqlSchema, jsResource, rest", &["graphqlSchema:", "jsResource:", "rest: true"]),
    ("static", &["static:"]),
    ("loadEnv", &["loadEnv:"]),
    ("extensionModule, pluginModule", &["extensionModule:", "pluginModule:"]),
    ("roles", &["roles:"]),
    ("dataLoader", &["dataLoader:"]),
    ("REST in capitals", &["REST: true"]),
    ("@table, @primaryKey, @export", &["@table @export", "@primaryKey"]),
    ("@indexed", &["@indexed"]),
    ("database:", &["@table(database:"]),
    ("expiration:", &["@table(expiration:"]),
    ("@relationship", &["@relationship(from:", "@relationship(to:"]),
    ("@sealed", &["@sealed"]),
    ("@export(name:)", &["@export(name:"]),
    ("@createdTime, @updatedTime", &["@createdTime", "@updatedTime"]),
    ("HNSW", &["@indexed(type: "]),
    ("@computed", &["@computed(from:"]),
    (
        "node: modules",
        &[
            "node:path",
            "node:fs",
            "node:crypto",
            "node:url",
            "node:fs/promises",
            "node:stream",
            "node:os",
            "node:timers/promises",
            "node:zlib",
            "node:assert",
            "node:module",
            "node:http",
            "node:util",
            "node:events",
            "node:querystring",
        ],
    ),
    ("Node's globals", &["process.env", "Buffer.from(", "setImmediate(", "__dirname"]),
    (
        "the web's globals",
        &["fetch(", "new URL(", "setTimeout(", "setInterval(", "crypto.subtle", "performance.now("],
    ),
    ("import.meta", &["import.meta.url", "import.meta.dirname"]),
    ("request.url, method", &["request.url", "request.method", "context.method"]),
    ("scope.options.getAll(), get()", &["options.getAll()", "options.get("]),
    ("scope.logger", &["scope.logger"]),
    ("on(close)", &["scope.on('close'"]),
    (
        "TypeScript: types, casts, non-null",
        &["interface ", " as any", "!.", "private ", "satisfies "],
    ),
    ("TypeScript: enum, parameter properties", &["enum Colour", "constructor(id: any, public "]),
    ("top-level await", &["const count = await Note.", "= await import("]),
    (
        "process.*",
        &["process.memoryUsage(", "process.hrtime", "process.uptime(", "process.version"],
    ),
    ("timers that keep nothing alive", &["timer.unref()"]),
    ("URLSearchParams", &["new URLSearchParams("]),
    ("AbortController", &["new AbortController("]),
    ("Web Streams", &["new ReadableStream(", "TransformStream("]),
    ("WebSocket client", &["new WebSocket("]),
    (
        "npm packages",
        &["from 'dotenv'", "from 'yaml'", "from 'zod'", "from 'jose'", "from 'undici'"],
    ),
    ("getCurrentUser()", &["getCurrentUser()"]),
    ("Table.publish()", &[".publish("]),
    (
        "comparators",
        &[
            "'equals'",
            "\"between\"",
            "'greater_than'",
            "less_than",
            "'contains'",
            "\"starts_with\"",
        ],
    ),
    ("JSON imports", &["with { type: 'json' }"]),
    ("dynamic import()", &["await import("]),
];

fn sources(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.file_name().is_some_and(|name| name != "usage.rs")
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            // Components inside of Rust sources are string literals.
            all.push_str(&text.replace("\\\"", "\"").replace("\\n", "\n"));
        }
    }
}

#[test]
fn what_applications_use_most_is_tested() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = String::new();
    for folder in ["tests/suite", "tests/applications", "examples", "components"] {
        sources(&root.join(folder), &mut all);
    }
    assert!(USED.len() >= 100, "{}", USED.len());
    let missing: Vec<_> = USED
        .iter()
        .flat_map(|(item, needles)| needles.iter().map(move |needle| (item, needle)))
        .filter(|(_, needle)| !all.contains(**needle))
        .collect();
    assert!(missing.is_empty(), "nothing in the suite uses {missing:#?}");
}
