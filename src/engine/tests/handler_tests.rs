//! Which handlers answer where a role is used more than once.

use super::check_files;

#[test]
fn of_a_role_that_is_used_twice_the_last_use_answers() {
    let task = "- command: touch {{ p }}\n  notify: topic\n";
    let handlers = "- name: listener\n  listen: topic\n  command: say {{ p }}\n- name: other\n  listen: topic\n  command: say it\n";
    check_files(
        &[
            ("play.yaml", "- hosts: a\n  roles:\n    - {role: r, p: x}\n    - {role: r, p: y}\n"),
            ("roles/r/tasks/main.yaml", task),
            ("roles/r/handlers/main.yaml", handlers),
        ],
        &["a r : command: changed", "a r : command: changed", "a r : listener: changed", "a r : other: changed"],
    );
}
