//! The real `slipwayd` with the real signer on loopback addresses, asked by curl, by OpenSSL and by hand.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod elsewhere;
mod enrolling;
mod files;
#[path = "../lab/mod.rs"]
mod lab;
mod limits;
mod reports;
mod scene;

use std::process::ExitCode;

fn main() -> ExitCode {
    lab::main(
        &["curl", "openssl"],
        None,
        &[
            ("files_are_served_whole_and_in_part", files::files),
            ("no_path_and_no_link_leaves_the_directory", files::paths),
            (
                "what_not_everybody_may_read_is_served_to_its_own_node_alone",
                files::restricted,
            ),
            ("a_head_that_does_not_end_is_ended", limits::slow_loris),
            ("one_address_does_not_take_all_connections", limits::idle),
            ("what_is_too_large_is_refused", limits::large),
            (
                "whoever_is_refused_before_a_body_is_read_is_told_that_the_connection_ends",
                limits::unread,
            ),
            ("readers_that_do_not_read_cost_little", limits::slow_readers),
            ("old_versions_of_tls_are_refused", limits::versions),
            (
                "a_node_enrols_by_tls_and_is_known_by_its_certificate",
                enrolling::enrolment,
            ),
            ("a_secret_that_is_not_right_is_refused", enrolling::secrets),
            ("fifty_nodes_enrol_at_once", enrolling::fifty),
            (
                "without_a_signer_nothing_is_signed_and_nothing_is_lost",
                enrolling::no_signer,
            ),
            ("nodes_report_in_xcats_form_too", reports::installstatus),
            (
                "a_daemon_that_is_killed_keeps_what_it_noted",
                reports::killed,
            ),
            (
                "what_is_asked_while_a_daemon_ends_is_answered_last",
                limits::ending,
            ),
            ("nodestat_says_what_changes", reports::watch),
            ("a_health_check_finds_what_nodes_would_find", limits::probe),
            ("the_umask_says_who_may_ask_the_signer", enrolling::umask),
            (
                "a_container_gets_nothing_of_another_node",
                elsewhere::containers,
            ),
            (
                "whoever_is_between_can_stop_a_request_and_no_more",
                elsewhere::proxies,
            ),
        ],
    )
}
