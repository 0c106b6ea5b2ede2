//! Caching tables with a source made by hand.

use std::sync::atomic::{AtomicUsize, Ordering};

use kora_resource::{CacheControl, Context, Error};
use tokio::sync::Semaphore;

use crate::{
    Found, HistoryRange, Keep, Lifetime, Load, Loaded, Origin, Source, SourceChange, SourceFuture,
    SourceMethod,
};

use super::*;

const CACHE: &str = "type Cache @table { id: ID @primaryKey name: String @indexed }";

/// Answers with its count of loads, each after a permit.
struct Counting {
    loads: AtomicUsize,
    permits: Semaphore,
    expires: Option<f64>,
}

impl Source for Arc<Counting> {
    fn has(&self, method: SourceMethod) -> bool {
        method == SourceMethod::Get
    }

    fn load(&self, load: Load) -> SourceFuture<Loaded> {
        let source = Arc::clone(self);
        Box::pin(async move {
            let count = source.loads.fetch_add(1, Ordering::SeqCst) + 1;
            source.permits.acquire().await.expect("open").forget();
            let found = match load.id.to_string().as_str() {
                "none" => Found::Nothing,
                "bad" => return Err(Error::conflict("bad")),
                _ => Found::Record(map([("name", format!("load {count}").into())])),
            };
            Ok(Loaded { found, expires: source.expires, modified: Some(5.0), keep: Keep::Store })
        })
    }

    fn write(&self, _: Id, _: SourceChange, _: Arc<Context>) -> SourceFuture<()> {
        Box::pin(async { Err(Error::internal("it has no such method")) })
    }
}

fn cache(
    fixture: &Fixture,
    expires: Option<f64>,
    lifetime: Lifetime,
) -> (Arc<Table>, Arc<Counting>) {
    let table = fixture.table(CACHE);
    let loads = AtomicUsize::new(0);
    let source = Arc::new(Counting { loads, permits: Semaphore::new(0), expires });
    fixture.store.set_source(&table, Some((Arc::new(Arc::clone(&source)), lifetime)));
    (table, source)
}

fn name(cached: &crate::Cached) -> Option<String> {
    let map = cached.record.as_ref()?.to_map().expect("decodes");
    map["name"].as_str().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_load_for_all_and_a_newer_write_wins() {
    let fixture = Fixture::new();
    let (table, source) = cache(&fixture, None, Lifetime::default());
    let context = Arc::new(Context::default());
    let id = Id::from("1");
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let (table, id, context) = (Arc::clone(&table), id.clone(), Arc::clone(&context));
            tokio::spawn(async move { table.load(&id, &context).await.expect("loads") })
        })
        .collect();
    eventually("the load", || source.loads.load(Ordering::SeqCst) == 1);
    source.permits.add_permits(1);
    for waiting in waiting {
        let cached = waiting.await.expect("runs");
        assert_eq!(name(&cached).as_deref(), Some("load 1"));
        assert_eq!(cached.record.expect("a record").shown_version().0, 5.0);
    }
    assert_eq!(source.loads.load(Ordering::SeqCst), 1);
    let hit = table.load(&id, &context).await.expect("reads");
    assert!(matches!(hit.origin, Origin::Cache { .. }));
    // A write that comes while the record is loaded anew is newer than what the source gives.
    let control = CacheControl { no_cache: true, ..CacheControl::default() };
    let anew = Arc::new(Context { cache: control, ..Context::default() });
    let (loading, reloading) = (Arc::clone(&table), id.clone());
    let load = tokio::spawn(async move { loading.load(&reloading, &anew).await });
    eventually("the load", || source.loads.load(Ordering::SeqCst) == 2);
    fixture.put(&table, map([("id", "1".into()), ("name", "mine".into())])).await;
    source.permits.add_permits(1);
    let cached = load.await.expect("runs").expect("loads");
    assert_eq!(name(&cached).as_deref(), Some("mine"));
    // What the client gives up is loaded all the same.
    let second = Id::from("2");
    let given_up = tokio::time::timeout(Duration::from_millis(5), table.load(&second, &context));
    assert!(given_up.await.is_err());
    source.permits.add_permits(1);
    eventually("the load", || table.get(&"2".into()).expect("reads").is_some());
    // Nothing, and errors.
    source.permits.add_permits(2);
    assert!(table.load(&"none".into(), &context).await.expect("loads").record.is_none());
    let error = table.load(&"bad".into(), &context).await.expect_err("fails");
    assert_eq!(error.message, "bad while resolving record bad for Cache");
    assert_eq!(error.status(), 409);
}

#[tokio::test]
async fn copies_are_given_up_in_silence() {
    let fixture = Fixture::new();
    let over = crate::clock::now() + 200.0;
    let lifetime = Lifetime { scan_interval: Some(0.25), ..Lifetime::default() };
    let (table, source) = cache(&fixture, Some(over), lifetime);
    source.permits.add_permits(1);
    let context = Arc::new(Context::default());
    table.load(&"1".into(), &context).await.expect("loads");
    eventually("the eviction", || table.stored(&"1".into()).expect("reads").is_none());
    assert_eq!(
        table
            .history(HistoryRange::default())
            .and_then(|mut h| h.next_batch())
            .expect("reads")
            .len(),
        1
    );
    let by_name = kora_resource::query::parse("name=load 1").expect("a query");
    assert!(table.search(by_name).expect("begins").next_batch(9).expect("reads").is_empty());
}

#[tokio::test]
async fn a_cache_stays_within_its_bound() {
    let fixture = Fixture::with(StoreOptions {
        initial_map: ByteSize(1 << 30),
        cache_size: Some(ByteSize(20_000)),
        ..StoreOptions::default()
    });
    let lifetime = Lifetime { scan_interval: Some(0.25), ..Lifetime::default() };
    let (table, source) = cache(&fixture, None, lifetime);
    source.permits.add_permits(1000);
    let context = Arc::new(Context::default());
    for n in 0..600 {
        table.load(&Id::from(&*format!("{n:04}")), &context).await.expect("loads");
    }
    let left =
        || table.search(Default::default()).expect("begins").next_batch(1000).expect("reads").len();
    eventually("the eviction", || left() < 450);
    assert!(left() > 100, "{} are left", left());
    assert!(table.get(&"0599".into()).expect("reads").is_some(), "the newest stay");
    assert!(table.get(&"0000".into()).expect("reads").is_none(), "the oldest go");
}
