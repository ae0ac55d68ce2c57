//! The real `slipway-trust`, held against other implementations: OpenSSL verifies what it signs, OpenSSH reads its
//! host certificates.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod authorities;
mod enrolling;
mod issuing;
#[path = "../lab/mod.rs"]
mod lab;
mod scene;

use std::process::ExitCode;

fn main() -> ExitCode {
    lab::main(
        &["openssl", "ssh-keygen"],
        None,
        &[
            (
                "the_authorities_are_made_once_and_are_their_owners_alone",
                authorities::made_once,
            ),
            (
                "a_site_that_does_not_say_what_it_is_gets_no_authority",
                authorities::incomplete,
            ),
            (
                "the_authority_of_hosts_speaks_for_the_site_alone",
                authorities::constrained,
            ),
            (
                "a_request_for_more_gets_what_the_definition_says",
                issuing::greedy_request,
            ),
            ("what_is_no_request_is_refused", issuing::no_request),
            ("a_client_is_one_and_nothing_else", issuing::client),
            (
                "what_is_revoked_is_on_the_list_that_openssl_reads",
                issuing::revoked,
            ),
            ("ssh_hosts_are_known_by_their_authority", issuing::ssh_host),
            (
                "keys_that_are_missing_or_open_to_others_are_named",
                authorities::broken_keys,
            ),
            ("the_root_key_may_be_taken_away", authorities::root_away),
            ("what_has_ended_signs_nothing", authorities::ended_authority),
            ("a_dry_run_changes_nothing", authorities::dry_run),
            ("an_armed_node_enrols_once", enrolling::enrolment),
            (
                "a_secret_of_another_node_or_too_late_is_refused_and_alarms",
                enrolling::wrong_secrets,
            ),
            (
                "a_node_gets_its_next_certificate_by_the_present_one",
                enrolling::renewal,
            ),
            (
                "a_node_that_renews_without_end_is_refused_and_alarms",
                enrolling::endless_renewal,
            ),
            ("fifty_nodes_enrol_at_once", enrolling::fifty),
            (
                "a_signer_takes_the_socket_that_systemd_hands_over",
                enrolling::handed_over,
            ),
            ("a_signer_that_is_killed_loses_nothing", enrolling::killed),
        ],
    )
}
