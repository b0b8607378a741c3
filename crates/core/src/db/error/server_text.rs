//! The texts of a server in its errors: message, detail and hint.

use tokio_postgres::error::DbError;

/// Returns the message of the server; without one, the message of the operating system without its `(os error …)`.
pub(crate) fn server_message(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(db), _) => db.message().to_owned(),
        (None, Some(source)) => {
            let text = source.to_string();
            text.split_once(" (os error ").map_or(text.as_str(), |(message, _)| message).to_owned()
        }
        (None, None) => error.to_string(),
    }
}

/// Returns the message of the server with its detail in parentheses.
///
/// A detail may contain a whole row, with inputs of tasks. So it is shown only where no such row exists.
pub(crate) fn message_with_detail(error: &tokio_postgres::Error) -> String {
    let message = server_message(error);
    match error.as_db_error().and_then(DbError::detail) {
        Some(detail) => format!("{message} ({})", detail.trim_end_matches('.')),
        None => message,
    }
}

/// Returns the hint of the server. `None` if it gave none.
pub(crate) fn server_hint(error: &tokio_postgres::Error) -> Option<String> {
    error.as_db_error().and_then(DbError::hint).map(str::to_owned)
}
