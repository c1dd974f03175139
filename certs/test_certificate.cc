#include "certs/test_certificate.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "certs/pem.h"

namespace weft::certs {
namespace {

void Push(GENERAL_NAMES* names, int type, const std::string& text) {
  bssl::UniquePtr<GENERAL_NAME> name(GENERAL_NAME_new());
  ASN1_IA5STRING* value = ASN1_IA5STRING_new();
  ASN1_STRING_set(value, text.data(), static_cast<int>(text.size()));
  GENERAL_NAME_set0_value(name.get(), type, value);
  bssl::PushToStack(names, std::move(name));
}

bssl::UniquePtr<GENERAL_NAMES> Names(const std::vector<std::string>& uris,
                                     const std::vector<std::string>& dns) {
  bssl::UniquePtr<GENERAL_NAMES> names(GENERAL_NAMES_new());
  for (const std::string& uri : uris) Push(names.get(), GEN_URI, uri);
  for (const std::string& name : dns) Push(names.get(), GEN_DNS, name);
  return names;
}

void Add(X509* x509, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, x509, x509, nullptr, nullptr, 0);
  bssl::UniquePtr<X509_EXTENSION> e(X509V3_EXT_nconf_nid(nullptr, &context, nid, value));
  X509_add_ext(x509, e.get(), -1);
}

std::string SignCsr(EVP_PKEY* key, EVP_PKEY* signer, const std::vector<std::string>& uris) {
  bssl::UniquePtr<X509_REQ> request(X509_REQ_new());
  X509_REQ_set_version(request.get(), X509_REQ_VERSION_1);
  X509_REQ_set_pubkey(request.get(), key);
  if (!uris.empty()) {
    bssl::UniquePtr<STACK_OF(X509_EXTENSION)> extensions(sk_X509_EXTENSION_new_null());
    bssl::UniquePtr<X509_EXTENSION> san(
        X509V3_EXT_i2d(NID_subject_alt_name, 1, Names(uris, {}).get()));
    bssl::PushToStack(extensions.get(), std::move(san));
    X509_REQ_add_extensions(request.get(), extensions.get());
  }
  X509_REQ_sign(request.get(), signer, EVP_sha256());
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_REQ(bio.get(), request.get());
  return TakeText(bio.get());
}

bssl::UniquePtr<EVP_PKEY> MakeRsaKey(int bits) {
  bssl::UniquePtr<RSA> rsa(RSA_new());
  bssl::UniquePtr<BIGNUM> e(BN_new());
  BN_set_word(e.get(), RSA_F4);
  RSA_generate_key_ex(rsa.get(), bits, e.get(), nullptr);
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  EVP_PKEY_set1_RSA(key.get(), rsa.get());
  return key;
}

SigningKey MakeSigningKey(TestKeyType type) {
  if (type == TestKeyType::kP256) return SigningKey(PrivateKey::Generate());
  const bssl::UniquePtr<EVP_PKEY> key = MakeRsaKey(2048);
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return *SigningKey::FromPem(TakeText(bio.get()));
}

// `issuer` is null where it is to sign itself.
Certificate Make(X509* issuer, EVP_PKEY* signer, EVP_PKEY* key,
                 const TestCertificateOptions& options) {
  bssl::UniquePtr<X509> x509(X509_new());
  X509* x = x509.get();
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 7);
  if (!options.common_name.empty()) {
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const uint8_t*>(options.common_name.data()),
                               static_cast<int>(options.common_name.size()), -1, 0);
  }
  X509_set_issuer_name(x, X509_get_subject_name(issuer == nullptr ? x : issuer));
  ASN1_TIME_set(X509_getm_notBefore(x), absl::ToTimeT(options.not_before));
  ASN1_TIME_set(X509_getm_notAfter(x), absl::ToTimeT(options.not_after));
  X509_set_pubkey(x, key);
  const std::string ca = "critical,CA:TRUE" + options.basic_constraints;
  Add(x, NID_basic_constraints, options.ca ? ca.c_str() : "critical,CA:FALSE");
  if (options.key_id) Add(x, NID_subject_key_identifier, "hash");
  if (!options.name_constraints.empty()) {
    Add(x, NID_name_constraints, options.name_constraints.c_str());
  }
  Add(x, NID_key_usage, options.ca ? "critical,keyCertSign" : "critical,digitalSignature");
  if (!options.extended_key_usage.empty()) {
    Add(x, NID_ext_key_usage, options.extended_key_usage.c_str());
  }
  if (!options.uris.empty() || !options.dns.empty()) {
    bssl::UniquePtr<GENERAL_NAMES> names = Names(options.uris, options.dns);
    bssl::UniquePtr<X509_EXTENSION> san(X509V3_EXT_i2d(NID_subject_alt_name, 1, names.get()));
    X509_add_ext(x, san.get(), -1);
  }
  X509_sign(x, signer, EVP_sha256());
  // Through DER, as it would arrive: no cached state of the one just built.
  return *Certificate::FromDer(Certificate(std::move(x509)).ToDer());
}

}  // namespace

Certificate MakeTestCertificate(const Issuer& issuer, const PublicKey& key,
                                const TestCertificateOptions& options) {
  const PrivateKey signer = *PrivateKey::FromPem(issuer.KeyPem());
  return Make(issuer.signer().x509(), signer.evp(), key.evp(), options);
}

TestCa MakeTestCa(const TestCa* issuer, absl::string_view common_name, absl::Time now,
                  TestKeyType type, absl::Duration validity) {
  TestCertificateOptions options;
  options.common_name = std::string(common_name);
  options.ca = true;
  options.key_id = true;
  options.extended_key_usage = "";
  options.not_before = now - validity;
  options.not_after = now + validity;
  return MakeTestCa(issuer, options, type);
}

TestCa MakeTestCa(const TestCa* issuer, const TestCertificateOptions& options, TestKeyType type) {
  SigningKey key = MakeSigningKey(type);
  Certificate made = issuer == nullptr
                         ? Make(nullptr, key.evp(), key.evp(), options)
                         : Make(issuer->certificate.x509(), issuer->key.evp(), key.evp(), options);
  return {std::move(made), std::move(key)};
}

std::string MakeTestCsr(const PrivateKey& key, const PrivateKey& signer,
                        const std::vector<std::string>& uris) {
  return SignCsr(key.evp(), signer.evp(), uris);
}

std::string MakeRsaCsr(int bits, absl::string_view uri) {
  const bssl::UniquePtr<EVP_PKEY> key = MakeRsaKey(bits);
  return SignCsr(key.get(), key.get(), {std::string(uri)});
}

}  // namespace weft::certs
