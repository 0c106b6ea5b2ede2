use kora_resource::query;

use crate::StoreError;

use super::*;

const PLAIN: &str = "type P @table { id: ID @primaryKey n: Int }";
const INDEXED: &str = "type P @table { id: ID @primaryKey n: Int @indexed }";

fn count(table: &Arc<Table>, text: &str) -> kora_resource::Result<usize> {
    let query = query::parse(text).expect(text);
    Ok(table.search(query)?.next_batch(10_000).expect("reads").len())
}

async fn fill(fixture: &Fixture, table: &Arc<Table>, ids: std::ops::Range<i64>) {
    let mut transaction = fixture.store.transaction();
    for n in ids {
        let id = format!("{n:05}");
        let record = map([("id", (*id).into()), ("n", (n % 10).into())]);
        transaction.put(table, Id::from(&*id), record).expect("valid");
    }
    transaction.commit().await.expect("commits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_is_built_while_the_table_is_served() {
    let fixture = Fixture::new();
    let table = fixture.table(PLAIN);
    fill(&fixture, &table, 0..4500).await;
    let subscription = table.subscribe(Default::default()).expect("subscribes");
    let same = fixture.table(INDEXED);
    assert!(Arc::ptr_eq(&table, &same), "the table lives on");
    let mut asked_too_early = 0;
    for n in 5000.. {
        // Writes go on meanwhile, over records on both sides of the build, and are indexed.
        fill(&fixture, &table, n..n + 1).await;
        fixture.delete(&table, &format!("{:05}", n - 5000)).await;
        match count(&table, "n=3") {
            Ok(_) => break,
            Err(error) => {
                assert_eq!(error.status(), 503);
                assert_eq!(
                    error.message,
                    "\"n\" is not indexed yet, can not search for this attribute"
                );
                asked_too_early += 1;
            }
        }
    }
    assert!(asked_too_early > 0, "the build is in the background");
    eventually("the index", || table.indexes_complete());
    let by_index = count(&table, "n=3").expect("indexed");
    let all =
        table.search(Default::default()).expect("begins").next_records(10_000).expect("reads");
    let threes =
        all.iter().filter(|record| record.to_map().expect("decodes")["n"] == Value::Int(3));
    assert_eq!(by_index, threes.count());
    drop(subscription);
}

#[tokio::test]
async fn an_interrupted_build_goes_on_when_the_store_is_opened_again() {
    let fixture = Fixture::new();
    let table = fixture.table(PLAIN);
    fill(&fixture, &table, 0..50).await;
    drop(table);
    // What a crash right after the change leaves: the index in the catalogue, nothing built.
    let database = Arc::clone(fixture.table(PLAIN).owner());
    let schema = Arc::new(schemas(INDEXED).remove(0));
    crate::schema_change::define(&database, &schema, None).expect("defines");
    drop(database);
    let fixture = fixture.reopened();
    let table = fixture.table(INDEXED);
    eventually("the index", || table.indexes_complete());
    assert_eq!(count(&table, "n=3").expect("indexed"), 5);
}

#[tokio::test]
async fn a_dropped_index_leaves_no_ghosts() {
    let fixture = Fixture::new();
    let table = fixture.table(INDEXED);
    fill(&fixture, &table, 0..2500).await;
    fixture.table(PLAIN);
    let entries = || {
        let environment = table.owner().environment();
        environment.read(|txn, trees| Ok::<_, StoreError>(trees.indexes.len(txn)?)).expect("reads")
    };
    eventually("the cleaning", || entries() == 0);
    assert_eq!(count(&table, "n=3").expect("by a scan"), 250);
    fill(&fixture, &table, 2500..2600).await;
    fixture.table(INDEXED);
    eventually("the index", || table.indexes_complete());
    assert_eq!(count(&table, "n=3").expect("indexed"), 260);
    assert_eq!(entries(), 2600);
}

#[tokio::test]
async fn attributes_and_flags_change_in_place() {
    let fixture = Fixture::new();
    let table = fixture.table(PLAIN);
    fill(&fixture, &table, 0..1).await;
    fixture.table("type P @table @sealed { id: ID @primaryKey n: Float m: Int! }");
    let stored = table.get(&"00000".into()).expect("reads").expect("there");
    assert_eq!(stored.to_map().expect("decodes")["n"], Value::Int(0), "nothing is rewritten");
    let put = |record| fixture.store.transaction().put(&table, "1".into(), record);
    assert_eq!(put(map([("n", "x".into())])).expect_err("m is required").status(), 400);
    assert!(
        put(map([("m", 1.into()), ("x", 1.into())])).expect_err("sealed").message.contains('x')
    );
    put(map([("m", 1.into()), ("n", 1.5.into())])).expect("fits");
}

#[tokio::test]
async fn a_type_that_records_do_not_fit_is_refused() {
    let fixture = Fixture::new();
    let table = fixture.table(PLAIN);
    let text = schemas("type P @table { id: ID @primaryKey n: String }");
    fixture.store.apply(&text).expect("there are no records to misfit");
    fixture.table(PLAIN);
    fill(&fixture, &table, 0..1).await;
    let error = fixture.store.apply(&text).expect_err("a number is no text").to_string();
    for part in
        ["attribute n of table P can not change from Int to String", "record 00000", "To migrate"]
    {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(table.schema().attribute("n").map(|n| n.ty.to_string()).as_deref(), Some("Int"));
    drop(table);
    let fixture = fixture.reopened();
    fixture.store.apply(&text).expect_err("nor after it was opened again");
    fixture.table("type P @table { id: ID @primaryKey n: Any }");
}

#[test]
fn the_primary_key_and_impossible_names_are_refused() {
    let fixture = Fixture::new();
    fixture.table(PLAIN);
    let both = "type New @table { id: ID @primaryKey } type P @table { other: ID @primaryKey }";
    let error = fixture.store.apply(&schemas(both)).expect_err("another key");
    assert!(matches!(error, StoreError::PrimaryKeyChanged { .. }), "{error}");
    assert!(fixture.store.table("data", "New").is_none(), "all or nothing");
    let mut bad = schemas(PLAIN);
    bad[0].database = "../elsewhere".into();
    let error = fixture.store.apply(&bad).expect_err("no folder below the directory");
    assert!(matches!(error, StoreError::Name { what: "database", .. }), "{error}");
    assert_eq!(fixture.store.tables().len(), 1);
}
