// Package tlsfiles makes a TLS configuration of the files that SKEP_CA and SKEP_CERTIFICATE name.
package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// Config trusts the authorities in SKEP_CA, and shows the client certificate in SKEP_CERTIFICATE (with its key), if there is one.
// Without SKEP_CA it is nil: the system's authorities, or no TLS at all.
func Config() (*tls.Config, error) {
	ca := os.Getenv("SKEP_CA")
	if ca == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", ca)
	}
	if file := os.Getenv("SKEP_CERTIFICATE"); file != "" {
		pair, err := tls.LoadX509KeyPair(file, file)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
