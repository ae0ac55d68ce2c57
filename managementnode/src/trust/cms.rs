//! Detached signatures as iPXE's `imgverify` reads them.
//!
//! Certificates and a signature come in, DER goes out. Nothing is signed here. There are no signed attributes: iPXE checks
//! the signature over the content alone. Reference: RFC 5652 §5, RFC 3370 §3.2; iPXE's `crypto/cms.c`.

use yasna::models::ObjectIdentifier;
use yasna::{DERWriter, Tag};

const DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 1];
const SIGNED_DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 2];
const RSA: &[u64] = &[1, 2, 840, 113_549, 1, 1, 1];
const SHA256: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 2, 1];

/// What was signed, and by whom.
#[derive(Debug)]
pub(super) struct SignatureParts<'a> {
    /// The signer's, then those up to the root, DER.
    pub(super) certificates: &'a [&'a [u8]],
    /// The issuer that the signer's certificate names, DER.
    pub(super) issuer: &'a [u8],
    /// The number of the signer's certificate.
    pub(super) serial: &'a [u8],
    /// RSA over the content's SHA-256 (PKCS #1 v1.5).
    pub(super) signature: &'a [u8],
}

/// Writes the signature of a content that is not in it.
pub(super) fn signed_data(signed: &SignatureParts<'_>) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            write_oid(writer.next(), SIGNED_DATA);
            writer.next().write_tagged(Tag::context(0), |writer| {
                write_signed_data(writer, signed);
            });
        });
    })
}

fn write_signed_data(writer: DERWriter<'_>, signed: &SignatureParts<'_>) {
    writer.write_sequence(|writer| {
        writer.next().write_u8(1);
        writer
            .next()
            .write_set(|writer| write_algorithm(writer.next(), SHA256));
        writer
            .next()
            .write_sequence(|writer| write_oid(writer.next(), DATA));
        writer
            .next()
            .write_tagged_implicit(Tag::context(0), |writer| {
                writer.write_sequence(|writer| {
                    for certificate in signed.certificates {
                        writer.next().write_der(certificate);
                    }
                });
            });
        writer
            .next()
            .write_set(|writer| write_signer(writer.next(), signed));
    });
}

fn write_signer(writer: DERWriter<'_>, signed: &SignatureParts<'_>) {
    writer.write_sequence(|writer| {
        writer.next().write_u8(1);
        writer.next().write_sequence(|writer| {
            writer.next().write_der(signed.issuer);
            writer.next().write_bigint_bytes(signed.serial, true);
        });
        write_algorithm(writer.next(), SHA256);
        write_algorithm(writer.next(), RSA);
        writer.next().write_bytes(signed.signature);
    });
}

fn write_algorithm(writer: DERWriter<'_>, algorithm: &[u64]) {
    writer.write_sequence(|writer| {
        write_oid(writer.next(), algorithm);
        writer.next().write_null();
    });
}

fn write_oid(writer: DERWriter<'_>, oid: &[u64]) {
    writer.write_oid(&ObjectIdentifier::from_slice(oid));
}
