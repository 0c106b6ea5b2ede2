//! What classes see of users, and who may call them.

use serde_json::json;

use super::{as_administrator, as_user, send, serve};

#[tokio::test]
async fn plain_classes_are_for_super_users_unless_they_say_otherwise() {
    let (_app, server) = serve().await;
    for (path, nobody, reader) in [("/Plain", 401, 403), ("/Open", 200, 200), ("/Public", 200, 200)]
    {
        send(&server, "", "GET", path, "").await.expect(nobody);
        send(&server, &as_user("reader"), "GET", path, "").await.expect(reader);
        send(&server, &as_user("super"), "GET", path, "").await.expect(200);
    }
    for method in ["PUT", "POST", "DELETE"] {
        let body = if method == "DELETE" { "" } else { "{}" };
        send(&server, "", method, "/Plain/1", body).await.expect(401);
        send(&server, &as_user("reader"), method, "/Plain/1", body).await.expect(403);
        send(&server, &as_administrator(), method, "/Plain/1", body).await.expect(200);
    }
    // Tables whose classes have opened them.
    for path in ["/Everybody/a", "/Unchecked/a"] {
        let answer = send(&server, "", "GET", path, "").await.expect(200);
        assert_eq!(answer.json()["secret"], "of a", "{path}");
    }
    for path in ["/Instance/a", "/Target/a"] {
        send(&server, "", "GET", path, "").await.expect(401);
    }
}

#[tokio::test]
async fn code_sees_the_user_with_the_role() {
    let (_app, server) = serve().await;
    let me = send(&server, &as_user("reader"), "GET", "/Me", "").await.expect(200).json();
    let dog = json!({"read": true, "insert": false, "update": false, "delete": false,
        "attribute_permissions": []});
    let expected = json!({"name": "reader", "role": "reader", "active": true, "same": true,
        "super": false, "dog": dog});
    assert_eq!(me, expected);
    assert_eq!(send(&server, "", "GET", "/Me", "").await.json(), json!({"name": null}));
    let partial = send(&server, &as_user("partial"), "GET", "/Me", "").await.json();
    assert_eq!(
        partial["dog"]["attribute_permissions"][0],
        json!({"attribute_name": "id", "read": true, "insert": false, "update": false})
    );
}

#[tokio::test]
async fn a_401_of_code_says_how_to_log_in() {
    let (_app, server) = serve().await;
    let answer = send(&server, "", "GET", "/Refusing", "").await.expect(401);
    assert_eq!(answer.header("www-authenticate"), Some("Basic"));
    assert_eq!(answer.body, "who are you?");
}

#[tokio::test]
async fn code_looks_users_up() {
    let (_app, server) = serve().await;
    let refused = json!({"status": 401, "message": "Login failed"});
    let found = send(&server, &as_administrator(), "GET", "/Lookup/reader", "").await.expect(200);
    assert_eq!(
        found.json(),
        json!({"found": "reader", "right": "reader", "wrong": refused, "wrong2": refused,
            "isFrozen": true, "same": true, "ambient": "function"})
    );
}
