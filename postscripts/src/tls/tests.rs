use super::*;

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

fn host_names() -> SubjectAltNames {
    SubjectAltNames {
        dns: ["host01", "host01.cluster"].map(String::from).into(),
        addresses: ["10.0.0.5", "fd00::5"]
            .map(|text| text.parse().unwrap())
            .into(),
    }
}

#[test]
fn a_signed_request_says_its_names_its_end_and_its_key() {
    let (authority, _) = LocalAuthority::create("host01 docker authority", now()).unwrap();
    let key = KeyPem::generate().unwrap();
    let request = key.request("host01", &host_names()).unwrap();
    let pem = authority
        .sign(&request, Usage::Server, now() + LEAF_LIFE)
        .unwrap();

    let leaf = CertificateInfo::parse(&pem).unwrap();
    assert_eq!(leaf.names, host_names());
    assert_eq!(leaf.not_after, now() + LEAF_LIFE);
    assert!(key.belongs_to(&leaf).unwrap());
    assert!(!KeyPem::generate().unwrap().belongs_to(&leaf).unwrap());
    let (other, _) = LocalAuthority::create("another", now()).unwrap();
    for (signer, signed) in [(&authority, true), (&other, false)] {
        let signer = CertificateInfo::parse(signer.certificate()).unwrap();
        assert_eq!(leaf.is_signed_by(&signer).unwrap(), signed);
    }
}

#[test]
fn an_authority_is_read_back_only_with_its_own_key_and_only_if_it_is_one() {
    let (authority, key) = LocalAuthority::create("a", now()).unwrap();
    let certificate = authority.certificate().to_owned();
    assert!(LocalAuthority::load(&certificate, &key).is_ok());
    let error = LocalAuthority::load(&certificate, &KeyPem::generate().unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the authority's key does not belong to its certificate"
    );

    let leaf_key = KeyPem::generate().unwrap();
    let request = leaf_key
        .request("leaf", &SubjectAltNames::default())
        .unwrap();
    let leaf = authority
        .sign(&request, Usage::Client, now() + LEAF_LIFE)
        .unwrap();
    let error = LocalAuthority::load(&leaf, &leaf_key).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the certificate is no authority's: its basicConstraints do not say CA"
    );
}

#[test]
fn a_key_never_shows_itself() {
    let key = KeyPem::generate().unwrap();
    assert_eq!(format!("{key:?}"), "KeyPem(not shown)");
}

#[test]
fn names_cover_what_they_hold_and_no_more() {
    let mut fewer = host_names();
    fewer.dns.remove("host01");
    assert!(host_names().cover(&fewer));
    assert!(!fewer.cover(&host_names()));
}
