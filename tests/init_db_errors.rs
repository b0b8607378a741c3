//! `init-db` on a database that cannot have the schema: the error has everything that the server says, and a database
//! with another encoding is refused before anything is created in it.

use crate::bad_input::assert_refused;
use crate::support::Installation;
use crate::support::database::Database;
use crate::support::server;
use crate::support::session::Session;

#[test]
fn a_database_with_another_encoding_is_refused_before_anything_is_created() {
    let setup = Installation::with_database(Database::empty());
    let name = format!("{}_latin1", setup.database_name());
    setup.session().execute(&format!(
        "create database {name} template template0 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'"
    ));
    let dsn = server::superuser_dsn(&name);
    let message = format!("the database `{name}` has the encoding LATIN1, and rework needs UTF8");
    let texts = [message.as_str(), "createdb --template=template0 --encoding=UTF8"];
    assert_refused(&setup, setup.rework(["init-db"]).env("REWORK_DSN", &dsn), 1, &texts);
    let latin1 = Session::open(&dsn);
    let sql = "select count(*) from pg_namespace where nspname = 'rework'";
    assert_eq!(latin1.query_value::<i64>(sql, &[]), 0);
    drop(latin1);
    setup.session().execute(&format!("drop database {name} with (force)"));
}

#[test]
fn a_migration_that_the_server_refuses_says_message_detail_and_hint() {
    let setup = Installation::with_database(Database::empty());
    setup.session().execute(
        "create function refuse() returns event_trigger language plpgsql as $$
         begin
             raise exception 'no changes today'
                 using detail = 'The change freeze lasts until Monday.',
                       hint = 'ask the database team';
         end $$",
    );
    for (tag, step) in [("CREATE SCHEMA", "create schema"), ("CREATE SEQUENCE", "__lane")] {
        setup.session().execute(&format!(
            "create event trigger refuse on ddl_command_start when tag in ('{tag}')
                 execute function refuse()"
        ));
        let output = setup.rework(["init-db"]).run_expecting(1);
        for text in [
            step,
            "no changes today (The change freeze lasts until Monday)",
            "hint: ask the database team",
        ] {
            assert!(output.stderr().contains(text), "no `{text}` in {output}");
        }
        setup.session().execute("drop event trigger refuse");
    }
    setup.rework(["init-db"]).run_ok();
    setup.rework(["list-tasks"]).run_ok();
}
