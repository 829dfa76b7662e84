/** Keys that no check ever asks for, and why. */

import { formatPrefix, isExactPrefix, parsePrefix, parseUnsigned } from "../../net/index.ts";
import { encodeBytes } from "../../posix/index.ts";
import {
  ANY_CERTIFICATE_KEY,
  CERTIFICATE_FACTS,
  certificateKey,
  CLIENT_CERTIFICATE_KIND,
  NAME_BYTES_MAX,
  NO_CERTIFICATE_KEY,
  parseCertificateFact,
} from "../lookup/client-certificate.ts";
import { KEY_KINDS, parsePrefixKey } from "../lookup/keys.ts";

import type { CertificateFact } from "../lookup/client-certificate.ts";
import type { Finding } from "./finding.ts";

/** The finding about a key; undefined when some client can be looked up under it. */
export function lintKey(key: string): Finding | undefined {
  const slash = key.indexOf("/");
  const kind = slash < 0 ? key : key.slice(0, slash);
  const name = slash < 0 ? "" : key.slice(slash + 1);
  if (!KEY_KINDS.includes(kind)) {
    return unreachable(key, "unknown-kind", `is none of ${KEY_KINDS.join(", ")}`);
  }
  if (kind === CLIENT_CERTIFICATE_KIND) return lintCertificate(key, name);
  if (kind === "reversedns") return lintName(key, name);
  return kind === "ip4" || kind === "ip6" ? lintNetwork(key, name) : lintId(key, kind, name);
}

function lintNetwork(key: string, name: string): Finding | undefined {
  if (parsePrefixKey(key) !== undefined) return undefined;
  const text = name.replace("_", "/");
  const prefix = name.includes("_") ? parsePrefix(text) : undefined;
  if (prefix === undefined) {
    return unreachable(key, "bad-network", "is no address, _ and prefix length");
  }
  const right = `ip${prefix.address.family}/${formatPrefix(prefix, "_")}`;
  return isExactPrefix(text)
    ? unreachable(key, "not-canonical", `is spelled ${right} by every check`)
    : unreachable(key, "host-bits", `has bits set past its length; ${right} is the network`);
}

function lintName(key: string, name: string): Finding | undefined {
  if (name === "@") return undefined;
  if (name === "" || name.includes("/")) return unreachable(key, "bad-name", "is no host name");
  if (encodeBytes(name).length > NAME_BYTES_MAX) return tooLong(key);
  if (name !== name.toLowerCase()) {
    return unreachable(key, "upper-case", "has capitals, names from DNS are in lower case");
  }
  if (name.endsWith(".")) {
    return unreachable(key, "trailing-dot", "ends with a dot, which checks drop");
  }
  return undefined;
}

function lintId(key: string, kind: string, name: string): Finding | undefined {
  if (name === "self" || (kind === "uid" && name === "default")) return undefined;
  if (kind === "gid" && name === "default") {
    return unreachable(key, "bad-id", "does not exist; uid/default is for everyone");
  }
  const id = parseUnsigned(name);
  if (id !== undefined && String(id) === name) return undefined;
  return unreachable(key, "bad-id", "is no number as checks write it");
}

function lintCertificate(key: string, name: string): Finding | undefined {
  if (key === NO_CERTIFICATE_KEY || key === ANY_CERTIFICATE_KEY) return undefined;
  const fact = parseCertificateFact(name);
  if (fact === undefined) {
    return unreachable(
      key,
      "bad-certificate",
      `is none of none, @, ${CERTIFICATE_FACTS.map((kind) => `${kind}:`).join(", ")}, or has a % that starts no escape`,
    );
  }
  const right = certificateKey(fact);
  if (right === key) return lintWildcard(key, fact);
  if (right !== undefined) {
    return unreachable(key, "not-canonical", `is spelled ${right} by every check`);
  }
  return encodeBytes(name).length > NAME_BYTES_MAX
    ? tooLong(key)
    : unreachable(key, "bad-certificate", `is ${fact.kind}: without a value of that type`);
}

function lintWildcard(key: string, { kind, value }: CertificateFact): Finding | undefined {
  if (kind !== "dns" || !value.startsWith("*.")) return undefined;
  const message =
    "stands for a certificate made out to that very name, not for names it would match";
  return { severity: "note", key, code: "wildcard", message };
}

function tooLong(key: string): Finding {
  return unreachable(key, "too-long", `is longer than a file name, ${NAME_BYTES_MAX} bytes`);
}

function unreachable(key: string, code: Finding["code"], what: string): Finding {
  return { severity: "warning", key, code, message: `is never looked up: it ${what}` };
}
