//! The real `copycds`, driven as a user drives it, on media made by real tools.

#![allow(clippy::unwrap_used)] // a test that cannot go on should panic

mod imports;
mod inspection;
mod refusals;
mod site;
mod vouching;
#[path = "../workbench/mod.rs"]
mod workbench;

use libtest_mimic::Arguments;
use workbench::trial;

fn main() {
    let tools = &["xorriso", "dpkg-deb", "apt-ftparchive", "gpg", "gpgv"][..];
    let rpm = &["xorriso", "rpmbuild", "createrepo_c", "implantisomd5"][..];
    let trials = vec![
        trial(
            "a_medium_becomes_a_tree_and_four_osimages",
            tools,
            imports::imports,
        ),
        trial("a_second_run_changes_nothing", tools, imports::second_run),
        trial(
            "inspection_changes_nothing_and_shows_the_evidence",
            tools,
            inspection::inspection,
        ),
        trial(
            "a_dry_run_changes_nothing_and_says_what_would_be",
            tools,
            imports::dry_run,
        ),
        trial(
            "w_leaves_an_imported_disc_and_its_osimages_alone",
            tools,
            imports::nonoverwrite,
        ),
        trial("o_defines_no_osimages", tools, imports::noosimage),
        trial(
            "p_publishes_elsewhere_and_the_osimages_say_so",
            tools,
            imports::elsewhere,
        ),
        trial(
            "p_names_one_tree_and_so_one_release",
            tools,
            imports::one_tree,
        ),
        trial(
            "a_disc_given_twice_is_imported_once",
            tools,
            imports::given_twice,
        ),
        trial(
            "a_label_alone_imports_nothing",
            tools,
            refusals::label_alone,
        ),
        trial(
            "inspection_shows_a_medium_that_does_not_tell_its_architecture",
            tools,
            inspection::no_arch,
        ),
        trial("n_names_what_is_imported", tools, imports::named),
        trial(
            "an_edited_definition_stays_and_the_difference_is_shown",
            tools,
            imports::edited,
        ),
        trial("json_says_all_of_it", tools, inspection::json),
        trial(
            "verify_finds_what_was_changed_in_a_tree",
            tools,
            vouching::verify,
        ),
        trial(
            "the_site_signs_what_is_published_and_a_note_says_where_it_does_not",
            tools,
            vouching::signed_by_site,
        ),
        trial(
            "two_discs_that_differ_under_one_name_are_refused",
            tools,
            imports::two_discs,
        ),
        trial(
            "a_directory_is_a_medium_like_an_image",
            tools,
            imports::directory,
        ),
        trial(
            "whatever_is_wrong_is_one_sentence_and_leaves_nothing",
            tools,
            refusals::bad_input,
        ),
        trial(
            "a_bad_signature_refuses_the_medium",
            tools,
            refusals::bad_signature,
        ),
        trial(
            "an_implanted_md5_vouches_for_what_nothing_else_lists",
            rpm,
            imports::rpm_medium,
        ),
        trial(
            "an_interrupt_leaves_nothing_behind",
            tools,
            refusals::interrupt,
        ),
        trial("wrong_usage_is_2", &[], inspection::usage),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
