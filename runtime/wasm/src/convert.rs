//! Between the words of the world and those of `kora-resource`.

use kora_resource::{Call, Context, Error, ErrorKind, Result, Target, VerbSet};

use crate::bindings::kora::resource::types;
use crate::encoding::Encoding;
use crate::manifest::Readers;

pub(crate) fn failure(error: &Error) -> types::Failure {
    types::Failure {
        status: error.status(),
        code: error.code.clone(),
        message: error.message.clone(),
    }
}

/// The error that a guest answered with; `verbs` for `Allow` at 405.
pub(crate) fn error(failure: types::Failure, verbs: VerbSet) -> Error {
    let kind = match failure.status {
        400 => ErrorKind::Invalid,
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        405 => ErrorKind::MethodNotAllowed(verbs),
        406 => ErrorKind::NotAcceptable,
        409 => ErrorKind::Conflict,
        413 => ErrorKind::TooLarge,
        503 => ErrorKind::Unavailable,
        status @ 400..=599 => ErrorKind::Status(status),
        _ => ErrorKind::Internal,
    };
    let mut error = Error::new(kind, failure.message);
    if !failure.code.is_empty() {
        error.code = failure.code;
    }
    error
}

/// `readers`: which methods are shown user and request.
pub(crate) fn call(number: u32, call: &Call, readers: Readers, encoding: Encoding) -> types::Call {
    types::Call {
        resource: number,
        verb: call.verb.method().to_owned(),
        target: target(&call.target, encoding),
        body: call.body.as_ref().map(|body| encoding.encode(body)),
        context: context(&call.context, readers.verbs.contains(call.verb)),
    }
}

pub(crate) fn connect(
    number: u32,
    to: &Target,
    context_of: &Context,
    readers: Readers,
    encoding: Encoding,
) -> types::Call {
    types::Call {
        resource: number,
        verb: "connect".to_owned(),
        target: target(to, encoding),
        body: None,
        context: context(context_of, readers.connect),
    }
}

fn target(target: &Target, encoding: Encoding) -> types::Target {
    types::Target {
        url: target.url.clone(),
        id: target.id.as_ref().map(|id| encoding.encode_id(id)),
        is_collection: target.is_collection,
        property: target.property.clone(),
        search: target.search.clone(),
        params: target.params.clone(),
    }
}

fn context(context: &Context, is_read: bool) -> types::Context {
    if !is_read {
        return types::Context { user: None, request: None, authorize: context.authorize };
    }
    types::Context {
        user: context.user.as_ref().map(|user| types::User {
            username: user.username.clone(),
            super_user: user.is_super_user(),
            role: user.role.role.clone(),
        }),
        request: context.request.as_ref().map(|request| types::Request {
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request.headers.clone(),
            protocol: request.protocol.to_owned(),
            host: request.host.clone(),
            ip: request.ip.map(|ip| ip.to_string()),
        }),
        authorize: context.authorize,
    }
}

/// Only super users pass where the guest has not said that anybody may.
pub(crate) fn authorize(context: &Context, public: bool) -> Result<()> {
    let is_super = context.user.as_ref().is_some_and(|user| user.is_super_user());
    if public || !context.authorize || is_super { Ok(()) } else { Err(Error::access(context)) }
}
