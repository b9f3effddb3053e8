//! Includes that are opened before the run and during it: their entries, variables, handlers and faults.

use super::check_files;

#[test]
fn includes_that_only_the_run_can_read() {
    check_files(
        &[
            (
                "play.yaml",
                "- hosts: all\n  tasks:\n    - command: say {{ inventory_hostname }}\n      register: who\n    - include_tasks: of_{{ who.stdout }}.yaml\n    - command: touch {{ left }}\n",
            ),
            ("of_a.yaml", "- set_fact: {left: x}\n- name: only a\n  command: touch a\n"),
            ("of_b.yaml", "- set_fact: {left: y}\n"),
        ],
        &[
            "a command: changed",
            "a set_fact: same",
            "a only a: changed",
            "a command: changed",
            "b command: changed",
            "b set_fact: same",
            "b command: changed",
        ],
    );
}

#[test]
fn includes_in_loops_see_their_item() {
    let played = check_files(
        &[
            (
                "play.yaml",
                "- hosts: a\n  tasks:\n    - include_tasks: one.yaml\n      loop: [x, y, z]\n      when: item != 'y'\n      vars: {name: 'n{{ item }}'}\n    - assert: {that: seen == 'nz'}\n",
            ),
            (
                "one.yaml",
                "- name: touch {{ item }}\n  command: touch {{ name }} creates=/{{ name }}\n- set_fact: {seen: '{{ name }}'}\n",
            ),
        ],
        &["a touch x: changed", "a set_fact: same", "a touch z: changed", "a set_fact: same", "a assert: same"],
    );
    assert_eq!(played.trips["a"], 2, "what is known before the run waits for nobody");
}

#[test]
fn roles_included_during_the_run_bring_handlers_and_variables() {
    check_files(
        &[
            (
                "play.yaml",
                "- hosts: a\n  tasks:\n    - command: say r\n      register: role\n    - include_role: {name: '{{ role.stdout }}', public: true}\n    - command: touch {{ of_role }}\n",
            ),
            ("roles/r/tasks/main.yaml", "- command: touch {{ of_role }}\n  notify: wake\n"),
            ("roles/r/defaults/main.yaml", "of_role: q\n"),
            ("roles/r/handlers/main.yaml", "- name: wake\n  command: touch woken\n"),
        ],
        &["a command: changed", "a r : command: changed", "a command: changed", "a r : wake: changed"],
    );
}

#[test]
fn an_include_that_cannot_be_read_fails_its_host() {
    check_files(
        &[(
            "play.yaml",
            "- hosts: all\n  tasks:\n    - command: say {{ inventory_hostname }}\n      register: who\n    - include_tasks: '{{ who.stdout }}.yaml'\n      when: who.stdout == 'a'\n    - command: touch z\n",
        )],
        &[
            "a command: changed",
            "a include: failed: the file of tasks `a.yaml` does not exist (play.yaml:5:23)",
            "b command: changed",
            "b include: skipped",
            "b command: changed",
        ],
    );
}

#[test]
fn handlers_of_an_included_role_are_those_of_the_play() {
    check_files(
        &[
            (
                "play.yaml",
                "- hosts: a\n  tasks:\n    - include_role: {name: r}\n    - command: touch y\n      notify: 'r : other'\n",
            ),
            ("roles/r/tasks/main.yaml", "- command: touch x\n  notify: wake\n"),
            (
                "roles/r/handlers/main.yaml",
                "- name: wake\n  command: touch woken\n- name: other\n  command: touch other\n",
            ),
        ],
        &["a r : command: changed", "a command: changed", "a r : wake: changed", "a r : other: changed"],
    );
}

#[test]
fn an_include_among_handlers_runs_all_inside() {
    check_files(
        &[
            (
                "play.yaml",
                "- hosts: all\n  tasks:\n    - command: touch x\n      notify: both\n      when: inventory_hostname == 'a'\n    - command: touch y\n      notify: topic\n  handlers:\n    - name: both\n      include_tasks: two.yaml\n    - name: never\n      include_tasks: two.yaml\n    - name: heard\n      listen: topic\n      when: inventory_hostname == 'b'\n      include_tasks: two.yaml\n",
            ),
            ("two.yaml", "- name: one\n  command: touch one\n- name: two\n  command: touch two\n"),
        ],
        &[
            "a command: changed",
            "a command: changed",
            "a one: changed",
            "a two: changed",
            "a one: skipped",
            "a two: skipped",
            "b command: skipped",
            "b command: changed",
            "b one: changed",
            "b two: changed",
        ],
    );
}
