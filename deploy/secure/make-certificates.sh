#!/bin/bash
# A certificate authority of this system alone, and the broker's certificate signed by it; nothing happens where they are.
#
#   make-certificates.sh BROKER_FOLDER CA_FOLDER [NAME...]
#
# BROKER_FOLDER  gets broker.p12, its password (keystore_password) and ca.pem: for the broker alone
# CA_FOLDER      gets ca.pem: for every client, no secret
# NAME           host names of the broker beside localhost, by default kafka
#
# Needs keytool of Java 18 or later only, which the image apache/kafka has. The authority's key is thrown away, so it signs nothing else; a
# new certificate is a new authority: empty both folders and run this again. Your own certificate: put these files there.
set -euo pipefail
umask 027
broker=$1 authority=$2
shift 2
names=(localhost "${@:-kafka}")
if [ -s "$broker/broker.p12" ] && [ -s "$authority/ca.pem" ]; then
  echo "certificates: present"
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
head -c 32 /dev/urandom | base64 -w 0 | tr -d '+/=\n' >"$work/keystore_password"
secret=(-storetype PKCS12 -storepass:file "$work/keystore_password")
days=825
san=$(printf 'dns:%s,' "${names[@]}")ip:127.0.0.1

keytool -genkeypair -alias ca -dname 'CN=paperless broker CA' -keyalg EC -groupname secp256r1 -validity "$days" \
  -ext bc:critical=ca:true,pathlen:0 -ext ku:critical=keyCertSign,cRLSign -keystore "$work/broker.p12" "${secret[@]}"
keytool -genkeypair -alias broker -signer ca -dname "CN=${names[1]}" -keyalg EC -groupname secp256r1 \
  -validity "$days" -ext "san=$san" -ext ku:critical=digitalSignature -ext eku=serverAuth,clientAuth \
  -keystore "$work/broker.p12" "${secret[@]}"
keytool -exportcert -rfc -alias ca -keystore "$work/broker.p12" "${secret[@]}" >"$work/ca.pem"
# The broker keeps its own key and the chain; nobody keeps the authority's.
keytool -delete -alias ca -keystore "$work/broker.p12" "${secret[@]}"

cp "$work/keystore_password" "$work/ca.pem" "$broker/"
cp "$work/ca.pem" "$authority/"
chmod 644 "$authority/ca.pem"
# Last: where it is, everything is.
cp "$work/broker.p12" "$broker/"
echo "certificates: created for ${names[*]}"
