//! `server.operation` for users and roles (`spec/harper-components.md` section 8.2).

use serde_json::{Value, json};

use super::{as_administrator, as_user, basic, operate, send, serve};

#[tokio::test]
async fn users_and_roles_are_managed() {
    let (_app, server) = serve().await;
    let add =
        json!({"operation": "add_user", "username": "eve", "password": "e", "role": "reader"});
    let permission = json!({"super_user": false, "data": {"tables": {"Dog": {"read": true,
        "insert": false, "update": false, "delete": false, "attribute_permissions": []}}}});
    let updated = json!({"message": "updated 1 of 1 records", "update_hashes": ["eve"],
        "skipped_hashes": []});
    for (operation, status, expected) in [
        (add.clone(), 200, json!({"message": "eve successfully added"})),
        (add, 409, json!("User eve already exists")),
        (
            json!({"operation": "add_user", "username": "x", "password": "x", "role": "none"}),
            404,
            json!("none role not found"),
        ),
        (json!({"operation": "add_user", "username": "x"}), 400, json!("'password' is required")),
        (
            json!({"operation": "add_user", "username": "", "password": "x", "role": "reader"}),
            400,
            json!("'username' is not allowed to be empty"),
        ),
        (
            json!({"operation": "alter_user", "username": "eve"}),
            400,
            json!("nothing to update, must supply active, role or password to update"),
        ),
        (json!({"operation": "alter_user", "username": "eve", "role": "updater"}), 200, updated),
        (
            json!({"operation": "alter_user", "username": "nobody", "active": false}),
            404,
            json!("User nobody does not exist"),
        ),
        (
            json!({"operation": "drop_role", "id": "updater"}),
            409,
            json!(
                "Cannot drop role updater as it has active user(s) eve,updater tied to this role"
            ),
        ),
        (
            json!({"operation": "drop_user", "username": "eve"}),
            200,
            json!({"message": "eve successfully deleted"}),
        ),
        (
            json!({"operation": "drop_user", "username": "eve"}),
            404,
            json!("User eve does not exist"),
        ),
        (
            json!({"operation": "add_role", "role": "reader", "permission": permission}),
            409,
            json!("A role with name 'reader' already exists"),
        ),
        (
            json!({"operation": "add_role", "role": "x", "permission": {"data": {"Dog": 5}}}),
            400,
            json!("'permission' is invalid: data.Dog must be an object"),
        ),
        (json!({"operation": "drop_role", "id": "none"}), 404, json!("Role not found")),
        (json!({"operation": "dance"}), 400, json!("Operation 'dance' not found")),
        (json!({"no": 1}), 400, json!("Request body must include an 'operation' property.")),
    ] {
        let answer = operate(&server, operation.clone()).await;
        assert_eq!(answer.status, status, "{operation}: {answer:?}");
        let shown = answer.json();
        let shown = if status == 200 { shown } else { shown["title"].clone() };
        assert_eq!(shown, expected, "{operation}");
    }
    let role = operate(
        &server,
        json!({"operation": "add_role", "role": "guest", "permission": permission}),
    );
    let role = role.await.expect(200).json();
    assert_eq!((&role["role"], &role["permission"]), (&json!("guest"), &permission));
    let id = role["id"].as_str().unwrap();
    let altered = json!({"operation": "alter_role", "id": id, "role": "visitor"});
    assert_eq!(operate(&server, altered).await.expect(200).json()["role"], "visitor");
    let dropped = operate(&server, json!({"operation": "drop_role", "id": id})).await.expect(200);
    assert_eq!(dropped.json()["message"], "visitor successfully deleted");
    let listed = operate(&server, json!({"operation": "list_users"})).await.expect(200);
    assert!(!listed.body.contains("password") && !listed.body.contains("argon2"), "{listed:?}");
    let users = listed.json();
    let reader = users.as_array().unwrap().iter().find(|user| user["username"] == "reader");
    assert_eq!(reader.unwrap()["role"]["permission"], permission);
    let roles = operate(&server, json!({"operation": "list_roles"})).await.expect(200).json();
    assert!(roles.as_array().unwrap().iter().any(|role| role["role"] == "partial"));
}

#[tokio::test]
async fn with_authorisation_only_super_users_may() {
    let (_app, server) = serve().await;
    let list = json!({"operation": "list_users"}).to_string();
    send(&server, &as_user("super"), "POST", "/OperateAs", &list).await.expect(200);
    let refused = send(&server, &as_user("reader"), "POST", "/OperateAs", &list).await.expect(403);
    assert_eq!(
        refused.json()["title"],
        "This operation is not authorized due to role restrictions and/or invalid database items"
    );
    let nobody = send(&server, "", "POST", "/OperateAs", &list).await.expect(401);
    assert_eq!(nobody.json()["title"], "Must login");
    let info = json!({"operation": "user_info"}).to_string();
    let me = send(&server, &as_user("reader"), "POST", "/OperateAs", &info).await.expect(200);
    assert_eq!(me.json()["username"], "reader");
}

#[tokio::test]
async fn passwords_are_kept_as_hashes_only() {
    let (app, server) = serve().await;
    let secret = "correct horse battery staple";
    let add =
        json!({"operation": "add_user", "username": "eve", "password": secret, "role": "super"});
    operate(&server, add).await.expect(200);
    send(&server, &basic("eve", secret), "GET", "/Plain", "").await.expect(200);
    send(&server, &basic("eve", "wrong secret"), "GET", "/Plain", "").await.expect(401);
    let stored: Value =
        send(&server, &as_administrator(), "GET", "/Stored/eve", "").await.expect(200).json();
    assert!(stored["password"].as_str().unwrap().starts_with("$argon2id$"), "{stored}");
    let (stdout, stderr) = (server.stdout.clone(), server.stderr.clone());
    assert!(server.terminate().success());
    for written in [stdout.text(), stderr.text()] {
        assert!(!written.contains(secret) && !written.contains("wrong secret"), "{written}");
    }
    let file = |entry: std::fs::DirEntry| entry.path();
    for database in std::fs::read_dir(app.data()).unwrap().flatten().map(file) {
        for file in std::fs::read_dir(database).into_iter().flatten().flatten().map(file) {
            let bytes = std::fs::read(&file).unwrap();
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{}", file.display());
        }
    }
}
