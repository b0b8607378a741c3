//! Tests of hiding passwords: fixed examples, and random passwords in DSNs of every form in messages of every form.

use fastrand::Rng;

use super::*;

#[test]
fn passwords_in_messages_are_hidden() {
    for (message, shown) in [
        (
            "no database named `postgresql+psycopg2://u:s3cret@h/d` in rework.toml",
            "no database named `postgresql+psycopg2://u:***@h/d` in rework.toml",
        ),
        ("`POSTGRES://u:s3cret@h/d` is no DSN", "`POSTGRES://u:***@h/d` is no DSN"),
        (
            "unexpected argument 'jdbc:postgresql://h/d?user=u&password=s3cret' found",
            "unexpected argument 'jdbc:postgresql://h/d?user=u&password=*** found",
        ),
        ("`host=db PASSWORD = 's3 \\'cret'` is wrong", "`host=db PASSWORD = *** is wrong"),
        ("`me:s3cret@db`", "`me:***@db`"),
        ("first `a:s3cret@b`\nthen pwd=s3cret x", "first `a:***@b`\nthen pwd=*** x"),
        ("`host=db password=***` is hidden already", "`host=db password=***` is hidden already"),
        ("`postgres://u:***@h/d`: hidden", "`postgres://u:***@h/d`: hidden"),
        ("at\u{2003}postgres://u:s3cret@h/d", "at\u{2003}postgres://u:***@h/d"),
        ("`postgres://user:password@db/d`", "`postgres://user:***@db/d`"),
    ] {
        assert_eq!(hide_passwords(message), shown);
    }
}

#[test]
fn messages_without_a_password_do_not_change() {
    for message in [
        "write it as `postgres://user:password@host:5432/database` or `host=… dbname=…`",
        "the password file `/home/me/.pgpass` is ignored: other users can read it",
        "password authentication failed for user \"me\"",
        "cannot connect to Postgres at db:5432: Connection refused",
        "/health and /ready at tcp://127.0.0.1:9393",
        "the database at postgres://db:5432/x is unavailable",
        "monitor 3 (pid 7) on alpha: domains a, b",
        "error: `a@b` is not a task\nhint: see `rework list-tasks`\n",
        "",
    ] {
        assert_eq!(hide_passwords(message), message);
    }
}

#[test]
fn a_password_is_added_to_each_form_of_a_dsn() {
    assert_eq!(with_password("postgres://me@db/x", "a b&"), "postgres://me@db/x?password=a%20b%26");
    assert_eq!(
        with_password("postgres://me@db/x?sslmode=require", "ä"),
        "postgres://me@db/x?sslmode=require&password=%C3%A4"
    );
    assert_eq!(with_password("host=db", r"a'\b"), r"host=db password='a\'\\b'");
}

/// A part that no DSN and no message contains, except as the middle of a password.
const CANARY: &str = "CaNaRy";

/// Returns random characters around the canary.
fn password(rng: &mut Rng, characters: &str) -> String {
    let characters: Vec<char> = characters.chars().collect();
    let part = |rng: &mut Rng| -> String {
        (0..rng.usize(..5)).map(|_| characters[rng.usize(..characters.len())]).collect()
    };
    format!("{}{CANARY}{}", part(rng), part(rng))
}

/// Returns a random DSN with a password, as users of other programs write it.
fn dsn(rng: &mut Rng) -> String {
    const IN_URL: &str = "aZ09:/?#[]@!$&'()*+,;=%\"`\\<>^{}|~-_. é";
    const IN_WORD: &str = "aZ09:/?#[]@!$&()*+,;=%\"`<>^{}|~-_.é";
    let schemes = [
        "postgres",
        "postgresql",
        "POSTGRES",
        "PostgreSQL",
        "postgresql+psycopg2",
        "postgresql+asyncpg",
        "jdbc:postgresql",
        "mysql",
        "pgsql",
    ];
    let scheme = schemes[rng.usize(..schemes.len())];
    match rng.u8(..5) {
        0 => format!("{scheme}://u:{}@h:5432/d", password(rng, IN_URL)),
        1 => format!("{scheme}://:{}@h/d?sslmode=require", password(rng, IN_URL)),
        2 => format!("{scheme}://h/d?user=u&password={}", password(rng, "aZ09:/?#@!$'*+,;=%`")),
        3 => {
            let key = ["password", "PASSWORD", "sslpassword", "passwd", "pwd"][rng.usize(..5)];
            let equals = ["=", " = ", "= "][rng.usize(..3)];
            format!("host=h {key}{equals}{} dbname=d", password(rng, IN_WORD))
        }
        _ => {
            let escaped = password(rng, IN_URL).replace('\\', r"\\").replace('\'', r"\'");
            format!("host=h password='{escaped}' dbname=d")
        }
    }
}

#[test]
fn no_random_password_is_shown() {
    let seed = fastrand::u64(..);
    let mut rng = Rng::with_seed(seed);
    for _ in 0..20_000 {
        let dsn = dsn(&mut rng);
        for message in [
            format!("no database named `{dsn}` in rework.toml"),
            format!("error: unexpected argument '{dsn}' found\nhint: see `rework --help`"),
            format!("invalid value '{dsn}' for '--listen-dsn <DSN>': it has a password"),
            format!("--db={dsn}"),
            dsn.clone(),
        ] {
            let shown = hide_passwords(&message);
            assert!(!shown.contains(CANARY), "seed {seed}: {message:?} is shown as {shown:?}");
            assert_eq!(hide_passwords(&shown), shown, "seed {seed}: {message:?}");
        }
        let redacted = redact(&dsn);
        assert!(!redacted.contains(CANARY), "seed {seed}: {dsn:?} is redacted as {redacted:?}");
    }
}
